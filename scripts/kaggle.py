"""Start a Kaggle on this machine for the verbs of another terminal; it runs until Ctrl-C."""

import shutil
import signal
import sys

from kit.command import Arguments, alone, verb


@verb("preset", preset="tiny")
def main(arguments: Arguments) -> None:
    from kit import config
    from kit.fetch.kaggle_here import kaggle_here

    resolved = config.resolve(arguments.preset)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        with alone("kaggle"), kaggle_here("kaggle", resolved) as variables:
            print(f"a Kaggle with {resolved.competition.slug} runs until Ctrl-C; in the other terminal:")
            print("export", *map("=".join, variables.items()))
            print(f"make all PRESET={arguments.preset}, then make submit; its runs are in runs/rehearsal")
            sys.stdout.flush()
            signal.pause()
    except KeyboardInterrupt:
        shutil.rmtree(config.PROJECT_ROOT / "build" / "kaggle", ignore_errors=True)
        print("\nthis Kaggle is gone; in the other terminal: unset KIT_KAGGLE_ENDPOINT KAGGLE_API_TOKEN")
