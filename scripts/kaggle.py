"""Start a Kaggle on this machine for the verbs of another terminal; it runs until Ctrl-C."""

import secrets
import shutil
import signal
import sys

from kit.command import Arguments, alone, verb


@verb("preset", preset="tiny")
def main(arguments: Arguments) -> None:
    from kit import config
    from kit.fetch import inputs
    from kit.fetch.kaggle_here import kaggle_here

    resolved = config.resolve(arguments.preset)
    data = inputs.competition_folder(resolved)
    inputs.model_folder(resolved)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    token = secrets.token_hex(16)
    try:
        with alone("kaggle"), kaggle_here("kaggle", resolved, data, token) as endpoint:
            print(f"a Kaggle with {resolved.competition.slug} runs until Ctrl-C; in the other terminal:")
            print(f"export KIT_KAGGLE_ENDPOINT={endpoint} KAGGLE_API_TOKEN={token}")
            print(f"make all PRESET={arguments.preset}, then make submit; its runs are in runs/rehearsal")
            sys.stdout.flush()
            signal.pause()
    except KeyboardInterrupt:
        shutil.rmtree(config.PROJECT_ROOT / "build" / "kaggle", ignore_errors=True)
        print("\nthis Kaggle is gone; in the other terminal: unset KIT_KAGGLE_ENDPOINT KAGGLE_API_TOKEN")
