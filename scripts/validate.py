"""Check a submission against the test rows: exit 0 valid, 1 invalid, 2 cannot check."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sized
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from kit.command import run
from kit.errors import KitError

if TYPE_CHECKING:
    from kit.review.checks.facts import Asked
    from kit.review.checks.problems import Report

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
        report = _check(arguments)
    except KitError as error:
        return _cannot_check("cannot_check", str(error), as_json=arguments.json)
    if arguments.json:
        print(json.dumps(report.as_json()))
    else:
        _show(report, arguments)
    return 0 if report.valid else 1


def _arguments() -> argparse.Namespace:
    parser = _Parser(description=__doc__, allow_abbrev=False)
    parser.add_argument("submission", nargs="?", type=Path, help="default: submission.csv of the run")
    parser.add_argument("--run", metavar="RUN", help="latest, v3, or a folder (default: latest)")
    parser.add_argument("--test", type=Path, help="test.csv (default: the competition's)")
    parser.add_argument("--sample", type=Path, help="sample_submission.csv (default: beside test.csv)")
    parser.add_argument("--train", type=Path, help="train.csv (default: beside test.csv)")
    parser.add_argument("--labels", help="the label set, A,B (default: kit.toml's)")
    parser.add_argument("--predictions", type=Path, metavar="FILE", help="predictions.csv, to read it again")
    parser.add_argument("--fix", type=Path, metavar="OUT", help="write a copy with mechanical defects mended")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    if arguments.submission is None:
        try:
            arguments.run = _run_folder(arguments.run or "latest")
        except KitError as error:
            sys.exit(_cannot_check("usage", str(error), as_json=arguments.json))
        arguments.submission = arguments.run / "submission.csv"
    elif arguments.run:
        arguments.run = _run_folder(arguments.run)
    if arguments.fix and arguments.fix.absolute() == arguments.submission.absolute():
        parser.error("--fix OUT must not be the submission itself")
    return arguments


def _run_folder(name: str) -> Path:
    """Return a folder as it stands, or the run that a name like `v3` means; `latest` may be missing."""
    from kit.remote import runs

    below = runs.RUNS / name.removeprefix("runs/")
    for folder in (Path(name), below):
        if folder.is_dir():
            return folder
    return below if name == "latest" else runs.find(name).folder


def _check(arguments: argparse.Namespace) -> Report:
    from kit.config import resolve
    from kit.review.checks import completions, facts, repair, validate
    from kit.review.checks.problems import Report

    competition = resolve("t4x2").competition
    asked = facts.asked_of(arguments.run) if arguments.run else facts.Asked()
    test = arguments.test or _find_test(competition.slug, asked)
    gathered = facts.gather(
        competition,
        test,
        sample=arguments.sample or _beside(test, "sample_submission.csv"),
        train=arguments.train or _beside(test, "train.csv"),
        labels=[label.strip() for label in (arguments.labels or "").split(",") if label.strip()],
        asked=asked,
    )
    report, table = validate.validate(arguments.submission, gathered)
    extra: dict[str, Any] = {}
    if arguments.fix:
        extra["changes"] = []
        mended = repair.repair(report, table, gathered)
        if mended is not None:
            text, changes = mended
            repair.write(text, arguments.fix)
            report, table = validate.check(text.encode(), gathered)
            extra["changes"] = [dataclasses.asdict(change) for change in changes]
            extra["fixed"] = str(arguments.fix)
    problems = list(report.problems)
    predictions = arguments.predictions
    if predictions is None and arguments.run:
        predictions = _beside(arguments.submission, "predictions.csv")
    if predictions is not None:
        read = completions.read(predictions)
        extra["completions"] = completions.reparse(read, gathered.labels, competition.synonyms)
        problems += completions.check(read, extra["completions"], table)
    return Report(report.rows, problems, extra)


def _find_test(slug: str, asked: Asked) -> Path:
    """Return the test.csv that the run answered, or the competition's; rehearsals have theirs elsewhere."""
    from kit.config import PROJECT_ROOT
    from kit.fetch import inputs
    from kit.review.checks import facts

    folders = [PROJECT_ROOT / "data" / slug]
    if slug == inputs.SAMPLE_SLUG:
        folders += [inputs.SAMPLE, inputs.CORPUS]
    there = [path for folder in folders if (path := folder / "test.csv").is_file()]
    answered = [path for path in there if facts.sha256_of(path) == asked.test_sha256]
    return (answered or there or [folders[0] / "test.csv"])[0]


def _beside(path: Path, name: str) -> Path | None:
    beside = path.with_name(name)
    return beside if beside.is_file() else None


def _show(report: Report, arguments: argparse.Namespace) -> None:
    """Print what a person reads: each problem with a few of its spots, then the verdict."""
    from kit.review.checks import completions

    for kind, problems in (("error", report.errors), ("warning", report.warnings)):
        for problem in problems:
            print(f"{kind:<7}  {problem.code} ({problem.count:,})  {problem.message}")
            for spot in problem.examples[1:]:
                print(" " * 9 + ", ".join(f"{name} {value!r}" for name, value in spot.as_json().items()))
    for change in report.extra.get("changes", []):
        print(f"changed  {change['code']} ({change['count']:,})  {change['message']}")
    if "completions" in report.extra:
        print("\n".join(completions.table_lines(report.extra["completions"])))
    if arguments.fix and "fixed" not in report.extra:
        print("no copy was written: the file as a whole is beyond repair")
    shown = report.extra.get("fixed", arguments.submission)
    verdict = "valid" if report.valid else "invalid"
    print(
        f"{shown}: {verdict}, {report.rows:,} rows, {_count(report.errors, 'error')}, "
        f"{_count(report.warnings, 'warning')}"
    )


def _count(things: Sized, name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def _cannot_check(code: str, message: str, *, as_json: bool) -> int:
    if as_json:
        error = {"code": code, "message": message, "count": 1, "examples": []}
        print(json.dumps({"valid": False, "rows": 0, "errors": [error], "warnings": []}))
    else:
        print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return CANNOT_CHECK


if __name__ == "__main__":
    run(main)
