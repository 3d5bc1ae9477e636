"""Cancel a run and bring home what it wrote; one that cannot be cancelled is deleted, after a question."""

import sys

from kit.command import Arguments, tell, verb


@verb("run", "yes", "discard")
def main(arguments: Arguments) -> int:
    from kit.remote import workflow
    from kit.remote.following import stop

    def confirm(question: str) -> bool:
        if arguments.yes:
            print(question, "yes")
            return True
        if not sys.stdin.isatty():
            print(question, "no: nobody is there to ask, YES=1 deletes")
            return False
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")

    kaggle, found = workflow.reach(arguments.run)
    done = stop.stop(kaggle, found, confirm=confirm, discard=arguments.discard)
    tell(run=found.name, outcome=done)
    whole = f"{found.owner}/{found.slug}" if done == "deleted" else found.name
    print(whole, {"kept": "was left as it is", "cancelled": "is stopped", "deleted": "is deleted"}[done])
    return 1 if done == "kept" else 0
