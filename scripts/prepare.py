"""Push a CPU kernel that downloads the wheels and the model which runs without internet attach."""

from kit.command import options, run


def main() -> None:
    """Push it, watch it to its end and print the settings that attach its output."""
    arguments = options(__doc__, "preset", "set", "timeout", timeout=7200.0).parse_args()

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


if __name__ == "__main__":
    run(main)
