"""Push, watch, pull and validate, stopping at the first step that fails."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from kit.command import run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="t4x2", help="preset to push (default: %(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="override a setting")
    parser.add_argument(
        "--timeout", type=float, default=46_800.0, metavar="SECONDS", help="stop watching after this"
    )
    arguments = parser.parse_args()

    from kit import config
    from kit.remote import pull, workflow
    from kit.remote.wire import client
    from kit.review import ledger, sweep

    kaggle = client.connect()
    pushed = workflow.look_and_push(kaggle, config.resolve(arguments.preset, arguments.set))
    workflow.watch_to_end(kaggle, pushed, arguments.timeout)
    pulled = pull.pull(kaggle, pushed)
    print(
        f"{len(pulled.files)} files, {sum(pulled.files.values()):,} bytes, are in {pulled.folder}", flush=True
    )
    validator = [sys.executable, str(Path(__file__).with_name("validate.py")), "--run", str(pulled.folder)]
    status = subprocess.run(validator, check=False).returncode
    if pulled.status.has_succeeded:
        ledger.keep(pulled.folder)
        sweep.show(pulled.folder)
    if status == 0:
        print(f"next: make submit RUN={pushed.name}")
    return status


if __name__ == "__main__":
    run(main)
