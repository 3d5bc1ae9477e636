"""Look, then push the preset's build to Kaggle, where it starts to run."""

from __future__ import annotations

import argparse

from kit.command import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="t4x2", help="preset to push (default: %(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="override a setting")
    arguments = parser.parse_args()

    from kit import config
    from kit.remote import client, loop

    pushed = loop.look_and_push(client.connect(), config.resolve(arguments.preset, arguments.set))
    print(f"next: make watch RUN={pushed.run.name}")


if __name__ == "__main__":
    run(main)
