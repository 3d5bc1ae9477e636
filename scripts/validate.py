"""Check a submission against the test rows: exit 0 valid, 1 invalid, 2 cannot check."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from kit.command import run
from kit.environment import take_variables
from kit.errors import KitError

if TYPE_CHECKING:
    from kit.review.checks.problems import Verdict

CANNOT_CHECK = 2


class _Parser(argparse.ArgumentParser):
    """Says wrong usage in JSON too where that was asked for."""

    def error(self, message: str) -> NoReturn:
        sys.exit(_cannot_check("usage", message, as_json="--json" in sys.argv))


def main() -> int:
    """Print every problem, or one JSON object, and return the exit status."""
    arguments = _arguments()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a terminal may not be UTF-8
    try:
        verdict = _check(arguments)
    except KitError as error:
        return _cannot_check("cannot_check", str(error), as_json=arguments.json)

    from kit.review.checks import validate

    print(json.dumps(verdict.as_json()) if arguments.json else "\n".join(validate.lines(verdict)))
    return 0 if verdict.valid else 1


def _arguments() -> argparse.Namespace:
    parser = _Parser(description=__doc__, allow_abbrev=False)
    parser.add_argument("submission", nargs="?", type=Path, help="default: submission.csv of the run")
    given = take_variables(["RUN"])["RUN"]
    parser.add_argument("--run", default=given, help="latest, v3, or a folder (default: latest)")
    parser.add_argument("--test", type=Path, help="test.csv (default: the competition's)")
    parser.add_argument("--sample", type=Path, help="sample submission (default: the one beside test.csv)")
    parser.add_argument("--train", type=Path, help="train.csv (default: beside test.csv)")
    parser.add_argument(
        "--labels",
        action="append",
        default=[],
        metavar="LABELS",
        help='the labels as the submission writes them: A,B, or \'["A, a","B"]\', or one flag for each',
    )
    parser.add_argument("--predictions", type=Path, metavar="FILE", help="predictions.csv, to read it again")
    parser.add_argument("--fix", type=Path, metavar="OUT", help="write a copy with mechanical defects mended")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    arguments.labels = _labels(parser, arguments.labels)
    if arguments.submission is None or arguments.run:
        try:
            arguments.run = _run_folder(arguments.run or "latest")
        except KitError as error:
            sys.exit(_cannot_check("usage", str(error), as_json=arguments.json))
    judged = arguments.submission or arguments.run / "submission.csv"
    if arguments.fix and arguments.fix.absolute() == judged.absolute():
        parser.error("--fix OUT must not be the submission itself")
    return arguments


def _labels(parser: argparse.ArgumentParser, given: list[str]) -> tuple[str, ...]:
    """Return the labels of one flag, by commas or as JSON, or of several flags, which may hold commas."""
    if len(given) != 1:
        return tuple(given)
    if not given[0].startswith("["):
        return tuple(label.strip() for label in given[0].split(",") if label.strip())
    try:
        labels = json.loads(given[0])
    except ValueError as error:
        parser.error(f"--labels: {error}")
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        parser.error("--labels: not a list of texts")
    return tuple(labels)


def _run_folder(name: str) -> Path:
    """Return a folder as it is, or the run that a name like `v3` means; `latest` may be missing."""
    from kit.errors import InputInvalid
    from kit.remote import runs

    if Path(name).is_dir():
        return Path(name)
    try:
        return runs.folder_of(name)
    except InputInvalid:
        if name != "latest":
            raise
        return runs.RUNS / "latest"


def _check(arguments: argparse.Namespace) -> Verdict:
    from kit.config import resolve
    from kit.fetch import inputs
    from kit.review.checks.validate import Instead, validate

    instead = Instead(
        submission=arguments.submission,
        test=arguments.test,
        sample=arguments.sample,
        train=arguments.train,
        predictions=arguments.predictions,
        labels=arguments.labels,
        fix=arguments.fix,
    )
    return validate(arguments.run, inputs.places, resolve("t4x2").competition, instead)


def _cannot_check(code: str, message: str, *, as_json: bool) -> int:
    if as_json:
        error = {"code": code, "message": message, "count": 1, "examples": []}
        print(json.dumps({"valid": False, "rows": 0, "errors": [error], "warnings": []}))
    else:
        print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return CANNOT_CHECK


if __name__ == "__main__":
    run(main)
