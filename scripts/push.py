"""Look, then push the preset's build to Kaggle, where it starts to run."""

from __future__ import annotations

import argparse

from kit.command import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="t4x2", help="preset to push (default: %(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="override a setting")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--resume", metavar="RUN", help="go on with an earlier run, with its settings")
    start.add_argument(
        "--answer-from", metavar="RUN", help="only answer, with the adapters of an earlier run"
    )
    parser.add_argument(
        "--dataset", default="", metavar="OWNER/SLUG", help="where that run's output was uploaded"
    )
    arguments = parser.parse_args()

    from kit import config
    from kit.remote import resume, workflow
    from kit.remote.wire import client

    kaggle = client.connect()
    if earlier := arguments.resume or arguments.answer_from:
        settings = resume.resume if arguments.resume else resume.answer_from
        resolved = settings(workflow.find(kaggle, earlier), arguments.set, dataset=arguments.dataset)
    else:
        resolved = config.resolve(arguments.preset, arguments.set)
    pushed = workflow.look_and_push(kaggle, resolved)
    print(f"next: make watch RUN={pushed.name}")


if __name__ == "__main__":
    run(main)
