"""Follow a run's log to its end; a run that fails is pulled and exits 1, Ctrl-C leaves it running."""

from __future__ import annotations

import argparse

from kit.command import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--run", default="latest", help="latest, v3, or a folder below runs/ (default: %(default)s)"
    )
    parser.add_argument("--timeout", type=float, default=46_800.0, metavar="SECONDS", help="leave after this")
    arguments = parser.parse_args()

    from kit.remote import workflow
    from kit.remote.wire import client

    kaggle = client.connect()
    found = workflow.find(kaggle, arguments.run)
    finished = workflow.watch_to_end(kaggle, found, arguments.timeout)
    print(f"{found.name} ended as {finished.status}; next: make pull RUN={found.name}")


if __name__ == "__main__":
    run(main)
