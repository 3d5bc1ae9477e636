"""Submit a run's submission.csv if it is valid, and wait for its score."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from kit.command import run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--run", default="latest", help="latest, v3, or a folder below runs/ (default: %(default)s)"
    )
    parser.add_argument(
        "--message", default="", help="words to find the submission by; the run's name follows"
    )
    arguments = parser.parse_args()

    from kit.remote import submit, workflow
    from kit.remote.wire import client
    from kit.review import ledger

    kaggle = client.connect()
    found = workflow.find(kaggle, arguments.run)
    validator = [sys.executable, str(Path(__file__).with_name("validate.py")), "--run", str(found.folder)]
    status = subprocess.run(validator, check=False).returncode
    if status != 0:
        print(f"error: nothing was submitted (try: make validate RUN={found.name})", file=sys.stderr)
        return status
    submitted = submit.submit(kaggle, found, arguments.message)
    when = "scored earlier" if submitted.earlier else "scored"
    print(f"{found.name} {when} {submitted.score} (submission {submitted.ref})")
    ledger.keep(found.folder)
    return 0


if __name__ == "__main__":
    run(main)
