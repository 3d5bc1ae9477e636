"""Save what a run has left so far, ask, then delete its kernel on Kaggle, which ends the session."""

from __future__ import annotations

import sys

from kit.command import options, run


def main() -> int:
    arguments = options(__doc__, "run", "yes").parse_args()

    from kit.remote import stop, workflow
    from kit.remote.wire import client

    def confirm(question: str) -> bool:
        if arguments.yes:
            print(question, "yes")
            return True
        if not sys.stdin.isatty():
            print(question, "no: nobody is there to ask, YES=1 deletes")
            return False
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")

    kaggle = client.connect()
    found = workflow.find(kaggle, arguments.run)
    if not stop.stop(kaggle, found, confirm=confirm):
        print(f"{found.name} was left as it is")
        return 1
    print(f"{found.owner}/{found.slug} is deleted")
    return 0


if __name__ == "__main__":
    run(main)
