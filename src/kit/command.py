"""Parse what a verb is given and run its main function as a shell expects: one line for the user's errors."""

import argparse
import errno
import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from kit import progress
from kit.environment import take_variables
from kit.errors import KitError, NotYet
from kit.files import PROJECT_ROOT, locked

Arguments = argparse.Namespace
Main = Callable[[Arguments], int | None]
Option = dict[str, Any]  # what argparse is told of an option

REFUSALS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG),
    *(errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ELOOP),
)
"""What a disk says that is full, not ours, or has a file or folder in the way: the user's to mend."""
DONE, FAILED, USAGE, NOT_YET, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit statuses of every verb; docs/agents.md says what each means."""
_RUN_HELP = "latest, v3, or a folder below runs/"


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 10_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return seconds


def _free(text: str) -> str:
    if text != "free":
        raise argparse.ArgumentTypeError(f"{text!r} is not free")
    return text


_OPTIONS: dict[str, Option] = {
    "preset": {"default": "t4x2", "help": "preset to take settings from (default: %(default)s)"},
    "set": {"default": [], "action": "append", "metavar": "NAME=VALUE", "help": "override a setting"},
    "run": {"default": "latest", "metavar": "RUN", "help": f"{_RUN_HELP} (default: %(default)s)"},
    "runs": {"default": [], "nargs": "*", "metavar": "RUN", "help": _RUN_HELP},
    "weights": {"default": [], "nargs": "+", "help": "one for each run (default: equal ones)"},
    "grid": {"metavar": "'NAME=A,B …'", "help": "settings with their values by commas"},
    "timeout": {"type": _seconds, "metavar": "SECONDS", "help": "leave or stop a run after this"},
    "competition": {"metavar": "SLUG", "help": "the last part of its address"},
    "kind": {"metavar": "code", "help": "rehearse a code competition, with a rerun on hidden rows"},
    "when": {"type": _free, "metavar": "free", "help": "wait for a free session and GPU hours"},
    "message": {"metavar": "WORDS", "help": "words to find the submission by"},
    "note": {"metavar": "WORDS", "help": "why this run is made"},
    "resume": {"metavar": "RUN", "help": "go on with an earlier run, with its settings"},
    "from": {"dest": "answer_from", "metavar": "RUN", "help": "only answer, with the adapters of that run"},
    "dataset": {"metavar": "OWNER/SLUG", "help": "where that run's output was uploaded"},
    "data": {"type": Path, "metavar": "DIR", "help": "folder with train.csv and test.csv"},
    "yes": {"action": "store_true", "help": "do not ask"},
    "force": {"action": "store_true", "help": "ask Kaggle anew for what is already here"},
    "discard": {"action": "store_true", "help": "delete outputs that could not be saved, too"},
}
"""Each option that a verb may take: a flag, and a make variable of the same name in capitals.

Where no default stands, it is None for what has a type and else empty text; a variable gives a list's words.
"""
_ANYWHERE = ("JSON", "YES", "PYTHON", "PY", "SMALL", "SHELL")
"""Variables that a program may give every verb, and those of make itself."""


class Usage(KitError):
    """A verb was given what it does not take."""


class Parser(argparse.ArgumentParser):
    """Raises Usage where argparse would print its own page."""

    def error(self, message: str) -> NoReturn:
        raise Usage(message, hint=f"make help, or {self.prog} --help")


def options(description: str | None, *names: str, **defaults: object) -> argparse.ArgumentParser:
    """Return a parser with these options, under the defaults that a make variable or the caller gives."""
    made = Parser(description=description, allow_abbrev=False)
    given = take_variables(name.upper() for name in (*_OPTIONS, "typed"))
    taken = [name.upper() for name in names if name != "data"]
    if strange := {*given["TYPED"].split()} - {*taken, *_ANYWHERE, *(["FORM"] if "set" in names else [])}:
        takes = ", ".join(taken) or "no variable"
        raise Usage(f"this verb takes no {min(strange)}", hint=f"it takes {takes}; make help")
    for name in names:
        option = {"default": None if "type" in _OPTIONS[name] else "", **_OPTIONS[name]}
        default = defaults.get(name, option["default"])
        text = given[name.upper()].strip()
        if text and isinstance(default, list):
            from kit.config import words

            default = words(text)
        option["default"] = default if isinstance(default, list) else text or default
        made.add_argument(name if name == "runs" else f"--{name}", **option)
    return made


def verb(
    *names: str, own: Mapping[str, Option] = {}, spends: str = "", **defaults: object
) -> Callable[[Main], Main]:
    """Make `main` a script's verb with these options and its `own`; it runs where that is the program."""

    def mark(main: Main) -> Main:
        def parsed() -> int | None:
            parser = options(sys.modules["__main__"].__doc__, *names, **defaults)
            for name, option in own.items():
                parser.add_argument(name, **option)
            arguments = parser.parse_args()
            if spends:
                spend(spends, agreed=arguments.yes)
            return main(arguments)

        if main.__module__ == "__main__":
            run(parsed)
        return main

    return mark


def alone(name: str) -> AbstractContextManager[None]:
    """Keep a second verb of this name out of this checkout while the block runs."""
    return locked(PROJECT_ROOT / "build" / f".{name}-lock", f"another {name} works in this checkout")


@dataclass
class _Answer:
    """What this process says under JSON=1: whether at all, and what its verb found."""

    wanted: bool = False
    facts: dict[str, object] = field(default_factory=dict)


_answer = _Answer()


def tell(**facts: object) -> None:
    """Add what a verb found to the one object that JSON=1 prints; the names are docs/agents.md's."""
    _answer.facts.update(facts)


def spend(what: str, *, agreed: bool) -> None:
    """Raise Usage where a program is about to spend what a person would miss, and has not said YES=1."""
    if _answer.wanted and not agreed:
        raise Usage(f"this spends {what}", hint="YES=1 if that is meant")


def run(main: Callable[[], int | None]) -> NoReturn:
    """Call `main` and exit with its status; a KitError becomes one line on stderr.

    With JSON=1 or `--json` stdout gets one JSON object at the end, and all that is said goes to stderr.
    """
    _answer.wanted = bool(take_variables(["JSON"])["JSON"]) or "--json" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--json"]
    stdout = os.dup(1) if _answer.wanted else -1
    if _answer.wanted:
        os.dup2(2, 1)  # for the processes that a verb starts, too
    progress.never_fail(sys.stdout, sys.stderr)
    status, error = _status(main)
    if _answer.wanted:
        sys.stdout.flush()
        why = {"message": error.message, "hint": error.hint} if error else None
        name = Path(sys.argv[0]).stem.replace("_", "-")
        told = {**_answer.facts, "verb": name, "status": status, "error": why}
        with os.fdopen(stdout, "w", encoding="utf-8") as stream:
            stream.write(json.dumps(told, default=str) + "\n")
    elif error:
        print(f"error: {progress.visible(' '.join(str(error).split()))}", file=sys.stderr)
    sys.exit(status)


def _status(main: Callable[[], int | None]) -> tuple[int, KitError | None]:
    """Return how `main` ended, and why where it did not end well."""
    try:
        return main() or DONE, None
    except KitError as error:
        kinds = {Usage: USAGE, NotYet: NOT_YET}
        return next((kinds[kind] for kind in kinds if isinstance(error, kind)), FAILED), error
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        return FAILED, KitError(f"{error.filename}: {error.strerror}", hint="df -h, ls -l")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED, None
