"""Check a submission against the test rows: exit 0 valid, 1 invalid, 2 cannot check; --json for programs."""

from pathlib import Path

from kit.command import Arguments, Option, Usage, tell, verb
from kit.errors import KitError

OWN: dict[str, Option] = {
    "submission": {"nargs": "?", "type": Path, "help": "default: submission.csv of the run"},
    "--test": {"type": Path, "help": "test.csv (default: the competition's)"},
}


@verb("run", run="", own=OWN)
def main(arguments: Arguments) -> int:
    """Print every problem and return the exit status; what keeps the check from being made exits 2."""
    from kit.config import resolve
    from kit.fetch import inputs
    from kit.remote import runs
    from kit.review.checks.validate import validate

    path, test = arguments.submission, arguments.test
    try:
        folder = None if path and not arguments.run else runs.folder_of(arguments.run or "latest")
        verdict = validate(folder, inputs.places, resolve("t4x2").competition, submission=path, test=test)
    except KitError as error:
        problem = {"code": "cannot_check", "message": str(error), "count": 1, "examples": []}
        tell(valid=False, rows=0, errors=[problem], warnings=[])
        raise Usage(error.message, hint=error.hint) from None
    tell(**verdict.as_json())
    print(verdict)
    return 0 if verdict.valid else 1
