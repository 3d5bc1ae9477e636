"""Keep a run's adapters as a private dataset of one's own, which runs without internet attach."""

from kit.command import Arguments, verb


@verb("run")
def main(arguments: Arguments) -> None:
    from kit.remote import workflow
    from kit.remote.pushing import adapters

    kaggle, found = workflow.reach(arguments.run)
    handle = adapters.keep(kaggle, found)
    print(f"the adapters of {found.name} are in {kaggle.web}/datasets/{handle}")
    print(f"next: make infer FROM={found.name}")
