"""Bring a run's log and outputs home, whole or not at all; exit 1 if the run itself had failed."""

import sys

from kit.command import Arguments, tell, verb


@verb("run", "force")
def main(arguments: Arguments) -> int:
    from kit.outputs import LOG_NAME
    from kit.remote import workflow
    from kit.remote.pulling import pull
    from kit.review import tables

    kaggle, found = workflow.reach(arguments.run)
    pulled = pull.pull(kaggle, found, again=arguments.force)
    print(pulled)
    brought = {"files": list(pulled.files), "missing": pulled.missing, "unproved": pulled.unproved}
    tell(run=found.name, folder=pulled.folder, ended=str(pulled.status), **brought)
    if not pulled.status.has_succeeded:
        log = pulled.folder / LOG_NAME
        print(f"error: {found.name} ended as {pulled.status} (try: {log})", file=sys.stderr)
        return 1
    tables.show_sweep(pulled.folder)
    print(f"next: make validate RUN={found.name}")
    return 0
