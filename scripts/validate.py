"""Check a submission against the test rows: exit 0 valid, 1 invalid, 2 cannot check; --json for programs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kit.command import Parser, Usage, run, tell
from kit.environment import take_variables
from kit.errors import KitError

if TYPE_CHECKING:
    from kit.review.checks.problems import Verdict


def main() -> int:
    """Print every problem and return the exit status; what keeps the check from being made exits 2."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a terminal may not be UTF-8
    try:
        verdict = _check(_arguments())
    except KitError as error:
        code = "usage" if isinstance(error, Usage) else "cannot_check"
        problem = {"code": code, "message": str(error), "count": 1, "examples": []}
        tell(valid=False, rows=0, errors=[problem], warnings=[])
        raise Usage(error.message, hint=error.hint) from None

    from kit.review.checks import validate

    tell(**verdict.as_json())
    print("\n".join(validate.lines(verdict)))
    return 0 if verdict.valid else 1


def _arguments() -> argparse.Namespace:
    parser = Parser(description=__doc__, allow_abbrev=False)
    parser.add_argument("submission", nargs="?", type=Path, help="default: submission.csv of the run")
    given = take_variables(["RUN"])["RUN"]
    parser.add_argument("--run", default=given, help="latest, v3, or a folder (default: latest)")
    parser.add_argument("--test", type=Path, help="test.csv (default: the competition's)")
    return parser.parse_args()


def _check(arguments: argparse.Namespace) -> Verdict:
    from kit.config import resolve
    from kit.fetch import inputs
    from kit.remote import runs
    from kit.review.checks.validate import validate

    is_of_run = arguments.submission is None or arguments.run
    folder = runs.folder_of(arguments.run or "latest") if is_of_run else None
    competition = resolve("t4x2").competition
    return validate(folder, inputs.places, competition, submission=arguments.submission, test=arguments.test)


if __name__ == "__main__":
    run(main)
