"""Submit a run's submission.csv if it is valid, and wait for its score."""

from __future__ import annotations

import argparse
import sys

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

    from kit import config
    from kit.fetch import inputs
    from kit.remote import submit, workflow
    from kit.remote.wire import client
    from kit.review import ledger
    from kit.review.checks.validate import lines, validate

    kaggle = client.connect()
    found = workflow.find(kaggle, arguments.run)
    verdict = validate(found.folder, inputs.places, config.resolve("t4x2").competition)
    print("\n".join(lines(verdict)), flush=True)
    if not verdict.valid:
        print(f"error: nothing was submitted (try: make validate RUN={found.name})", file=sys.stderr)
        return 1
    submitted = submit.submit(kaggle, found, arguments.message)
    when = "scored earlier" if submitted.earlier else "scored"
    print(f"{found.name} {when} {submitted.score} (submission {submitted.ref})")
    ledger.keep(found.folder)
    return 0


if __name__ == "__main__":
    run(main)
