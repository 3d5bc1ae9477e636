"""Answer for a code competition with the adapters of an earlier run: push, watch, pull and validate."""

from all import to_valid

from kit.command import Arguments, verb


@verb("from", "set", "dataset", "timeout", "yes", timeout=46_800.0, spends="GPU hours")
def main(arguments: Arguments) -> int:
    from kit.errors import KitError
    from kit.remote import workflow
    from kit.remote.pushing import resume

    if not arguments.answer_from:
        raise KitError("infer answers with the adapters of a run", hint="make infer FROM=v3")
    kaggle, found = workflow.reach(arguments.answer_from)
    return to_valid(kaggle, resume.infer(found, arguments.set, dataset=arguments.dataset), arguments.timeout)
