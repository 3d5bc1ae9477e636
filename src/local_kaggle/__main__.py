"""Run a local Kaggle until it is stopped: `python -m local_kaggle --port P --root DIR`.

It prints one line with its address when it is ready, and a second with a new token where none came in the
variable LOCAL_KAGGLE_TOKEN. SIGTERM, SIGHUP and Ctrl-C stop it together with every script that still runs.
It listens on 127.0.0.1 and nowhere else.
"""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from local_kaggle import faults, server
from local_kaggle.jail import die_with
from local_kaggle.profile import OBSERVED, PROFILES, Profile, Settings
from local_kaggle.scoring import METRICS

_CHILD_ENV = "a variable of every kernel; {input} and {working} stand for its folders"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal comes; give 1 when the port is taken or an option makes no sense."""
    options = _parser().parse_args(arguments)
    chosen = _given(options, Settings)
    if "competition" in options:
        chosen.setdefault("slug", options.competition.resolve().name)
    chosen |= {"child_env": dict(options.child_env), "notebooks_only": options.kind == "code"}
    token = os.environ.get("LOCAL_KAGGLE_TOKEN")
    chosen |= {"token": token} if token else {}
    profile = replace(PROFILES[options.profile], **_given(options, Profile))
    settings = Settings(**chosen | {"profile": profile})
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    if options.parent:
        die_with(options.parent, signal.SIGTERM)
    try:
        kaggle = server.start(options.root, settings, port=options.port)
    except (OSError, OverflowError) as error:
        print(f"local_kaggle: cannot start on port {options.port}: {error}", file=sys.stderr)
        return 1
    with kaggle:
        for fault in options.fault:
            kaggle.faults.arm(fault)
        print(f"local Kaggle ready at {kaggle.url}", flush=True)
        if not token:
            print(f"KAGGLE_API_TOKEN={settings.token}", flush=True)
        stopped.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    """Name each option after the field of Settings or Profile that it sets; one left out stays."""
    parser = argparse.ArgumentParser(
        prog="python -m local_kaggle",
        description=(__doc__ or "").partition("\n")[0],
        argument_default=argparse.SUPPRESS,
    )
    add = parser.add_argument
    add("--port", type=int, default=0, help="0 takes a free one")
    add("--root", type=Path, required=True, help="folder of its records; survives a restart")
    add("--competition", type=_folder, help="folder with train, test and solution.csv")
    add("--slug", help="the competition's name; by default that of its folder")
    add("--kind", choices=("files", "code"), default="files", help="what the competition takes")
    add("--hidden", type=_folder, help="test and solution.csv of a code competition's rerun")
    add("--rerun-limit", type=float, dest="rerun_limit_seconds", metavar="SECONDS")
    add("--metric", choices=tuple(METRICS))
    add("--models", type=_folder, help="OWNER/MODEL/FRAMEWORK/VARIATION/VERSION folders")
    add("--child-env", type=_variable, action="append", default=[], metavar="NAME=VALUE", help=_CHILD_ENV)
    add("--network", action="store_true", help="kernels that ask for the internet get it")
    add("--profile", choices=tuple(PROFILES), default=OBSERVED.name)
    add("--layout", choices=("2026", "old", "mixed"), help="where inputs are mounted")
    add("--starts-in", choices=("working", "src"), help="the kernels' first folder")
    add("--replace-earlier", action="store_true", dest="replaces_earlier_session", help="at a second push")
    add("--no-status-labels", action="store_false", dest="labels_on_status", help="refuse them")
    add("--wheels", type=_folder, help="each kernel starts in an empty environment whose pip reads here")
    add("--parent", type=int, default=0, metavar="PID", help="stop when this process, the parent, ends")
    names = ", ".join(faults.NAMED)
    add("--fault", type=_fault, action="append", default=[], metavar="NAME[:TIMES]", help=f"one of {names}")
    return parser


def _given(options: argparse.Namespace, kind: type[Settings | Profile]) -> dict[str, Any]:
    return {field.name: getattr(options, field.name) for field in fields(kind) if field.name in options}


def _folder(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"no folder {text!r}")
    return path


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _fault(text: str) -> faults.Fault:
    name, _, times = text.partition(":")
    if name not in faults.NAMED or not (times.isdecimal() or not times):
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(faults.NAMED)}")
    fault = faults.NAMED[name]
    return replace(fault, times=int(times or 0) or fault.times)


if __name__ == "__main__":
    raise SystemExit(main())
