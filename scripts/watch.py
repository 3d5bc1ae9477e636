"""Follow a run's log to its end; a run that fails is pulled and exits 1, Ctrl-C leaves it running."""

from kit.command import Arguments, tell, verb


@verb("run", "timeout", timeout=46_800.0)
def main(arguments: Arguments) -> None:
    from kit.remote import workflow

    kaggle, found = workflow.reach(arguments.run)
    tell(run=found.name, url=found.url)
    status = workflow.watch_to_end(kaggle, found, arguments.timeout)
    tell(ended=str(status))
    print(f"{found.name} ended as {status}; next: make pull RUN={found.name}")
