"""Cancel a run and bring home what it wrote; one that cannot be cancelled is deleted, after a question."""

import sys

from kit.command import Arguments, tell, verb


@verb("run", "yes", "discard")
def main(arguments: Arguments) -> int:
    from kit.remote import workflow
    from kit.remote.following import stop
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
    done = stop.stop(kaggle, found, confirm=confirm, discard=arguments.discard)
    tell(run=found.name, outcome=done)
    print(
        {
            "kept": f"{found.name} was left as it is",
            "cancelled": f"{found.name} is stopped",
            "deleted": f"{found.owner}/{found.slug} is deleted",
        }[done]
    )
    return 1 if done == "kept" else 0
