"""Look at everything that can be seen before a push, one line each; exit 1 if a push would fail."""

from dataclasses import asdict

from kit.command import Arguments, tell, verb


@verb("preset", "set")
def main(arguments: Arguments) -> int:
    from kit import config
    from kit.remote import workflow
    from kit.remote.wire import client

    _, checks = workflow.look(client.connect(known=False), config.resolve(arguments.preset, arguments.set))
    tell(checks=[asdict(check) for check in checks])
    return 1 if any(check.verdict == "fail" for check in checks) else 0
