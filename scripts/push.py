"""Look, then push the preset's build to Kaggle, where it starts to run."""

from functools import partial

from kit.command import Arguments, tell, verb


@verb("preset", "set", "resume", "from", "dataset", "note", "when", "yes", spends="GPU hours")
def main(arguments: Arguments) -> None:
    from kit import config
    from kit.errors import KitError
    from kit.remote import workflow
    from kit.remote.pushing import lookup, resume
    from kit.remote.wire import client

    if arguments.resume and arguments.answer_from:
        raise KitError("RESUME and FROM exclude each other", hint="make push RESUME=v3")
    kaggle = client.connect()
    if earlier := arguments.resume or arguments.answer_from:
        settings = resume.resume if arguments.resume else resume.answer_from
        resolved = settings(workflow.find(kaggle, earlier), arguments.set, dataset=arguments.dataset)
    else:
        resolved = config.resolve(arguments.preset, arguments.set)
    attempt = partial(workflow.look_and_push, kaggle, resolved, arguments.note)
    pushed = lookup.when_free(kaggle, attempt) if arguments.when == "free" else attempt()
    opened = lookup.has_opened(kaggle, pushed)
    tell(run=pushed.name, version=pushed.version, url=pushed.url, folder=pushed.folder, session_opened=opened)
    if not opened:
        print(f"no session of {pushed.name} has opened yet; look at {pushed.url} whether one does")
    print(f"next: make watch RUN={pushed.name}")
