"""Look at everything that can be seen before a push, one line each; exit 1 if a push would fail."""

from __future__ import annotations

import argparse

from kit.command import run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="t4x2", help="preset to look at (default: %(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="override a setting")
    arguments = parser.parse_args()

    from kit import config
    from kit.remote import workflow
    from kit.remote.wire import client

    _, failed = workflow.look(client.connect(), config.resolve(arguments.preset, arguments.set))
    return 1 if failed else 0


if __name__ == "__main__":
    run(main)
