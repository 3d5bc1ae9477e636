"""Push a CPU kernel that downloads the wheels and the model which runs without internet attach."""

from kit.command import Arguments, verb


@verb("preset", "set", "timeout", timeout=7200.0)
def main(arguments: Arguments) -> None:
    from kit import config
    from kit.bundle import build
    from kit.remote import workflow
    from kit.remote.wire import client

    kaggle = client.connect()
    resolved = config.resolve(arguments.preset, arguments.set)
    pushed = workflow.look_and_push(kaggle, build.preparation(resolved))
    workflow.watch_to_end(kaggle, pushed, arguments.timeout)
    sources = f'["{pushed.owner}/{pushed.slug}"]'
    settings = f"kernel.internet=false kernel.kernel_sources={sources}"
    print(f"next: make push PRESET={arguments.preset} SET='{settings}'")
