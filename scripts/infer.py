"""Answer for a code competition with the adapters of an earlier run: push, watch, pull and validate."""

from all import to_valid

from kit.command import Arguments, spend, verb


@verb("from", "set", "dataset", "timeout", "yes", timeout=46_800.0)
def main(arguments: Arguments) -> int:
    spend("GPU hours", agreed=arguments.yes)

    from kit.errors import KitError
    from kit.remote import workflow
    from kit.remote.pushing import resume
    from kit.remote.wire import client

    if not arguments.answer_from:
        raise KitError("infer answers with the adapters of a run", hint="make infer FROM=v3")
    kaggle = client.connect()
    found = workflow.find(kaggle, arguments.answer_from)
    return to_valid(kaggle, resume.infer(found, arguments.set, dataset=arguments.dataset), arguments.timeout)
