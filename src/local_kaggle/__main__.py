"""Run a local Kaggle until it is stopped: `python -m local_kaggle --port P --root DIR`.

It prints one line with its address when it is ready, and a second with a new token where none came in the
variable LOCAL_KAGGLE_TOKEN. SIGTERM, SIGHUP and Ctrl-C stop it together with every script that still runs.
It listens on 127.0.0.1 and nowhere else.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import secrets
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from local_kaggle import faults, server
from local_kaggle.profile import DEFAULT_PROFILE, PROFILES, Profile
from local_kaggle.scoring import METRICS
from local_kaggle.state import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal comes; give 1 when the port is taken or an option makes no sense."""
    options = _parser().parse_args(arguments)
    settings = Settings(
        user=options.user,
        token=os.environ.get("LOCAL_KAGGLE_TOKEN") or secrets.token_hex(16),
        profile=_profile(options),
        slug=options.slug or (options.competition.resolve().name if options.competition else Settings.slug),
        competition=options.competition or Settings.competition,
        notebooks_only=options.kind == "code",
        hidden=options.hidden,
        rerun_limit_seconds=options.rerun_limit,
        metric=options.metric,
        models=options.models,
        datasets=options.datasets,
        child_env=dict(options.child_env),
        network=options.network,
        python=options.python,
        wheels=options.wheels,
        time_limit_seconds=options.time_limit,
    )
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    if options.parent and not _ends_with(options.parent):
        return 1
    try:
        kaggle = server.start(options.root, settings, port=options.port)
    except OSError as error:
        print(f"local_kaggle: cannot start on port {options.port}: {error}", file=sys.stderr)
        return 1
    with kaggle:
        for name, times in options.fault:
            fault = faults.NAMED[name]
            kaggle.faults.arm(replace(fault, times=times or fault.times))
        print(f"local Kaggle ready at {kaggle.url}", flush=True)
        if "LOCAL_KAGGLE_TOKEN" not in os.environ:
            print(f"KAGGLE_API_TOKEN={settings.token}", flush=True)
        stopped.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local_kaggle", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--root", type=Path, required=True, help="folder of its records; survives a restart")
    parser.add_argument("--competition", type=_folder, help="folder with train, test and solution.csv")
    parser.add_argument("--slug", help="the competition's name; by default that of its folder")
    parser.add_argument("--kind", choices=("files", "code"), default="files", help="what it takes")
    parser.add_argument("--hidden", type=_folder, help="test and solution.csv of a code competition's rerun")
    parser.add_argument("--rerun-limit", type=float, default=Settings.rerun_limit_seconds, metavar="SECONDS")
    parser.add_argument("--metric", choices=tuple(METRICS), default=Settings.metric)
    parser.add_argument("--models", type=_folder, help="OWNER/MODEL/FRAMEWORK/VARIATION/VERSION folders")
    parser.add_argument("--datasets", type=_folder, help="OWNER/SLUG folders")
    parser.add_argument(
        "--child-env",
        type=_variable,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a variable of every kernel; {input} and {working} stand for its folders",
    )
    parser.add_argument("--network", action="store_true", help="kernels that ask for the internet get it")
    parser.add_argument("--profile", choices=tuple(PROFILES), default=DEFAULT_PROFILE.name)
    parser.add_argument("--layout", choices=("2026", "old", "mixed"), help="where inputs are mounted")
    parser.add_argument("--starts-in", choices=("working", "src"), help="the kernels' first folder")
    parser.add_argument("--replace-earlier", action="store_true", help="a second push stops the first run")
    parser.add_argument("--no-status-labels", action="store_true", help="the status call takes no version")
    parser.add_argument("--python", type=Path, help="the kernels' interpreter; by default this one")
    parser.add_argument(
        "--wheels", type=_folder, help="each kernel starts in an empty environment whose pip reads here"
    )
    parser.add_argument("--parent", type=int, metavar="PID", help="stop when this process, the parent, ends")
    parser.add_argument("--user", default=Settings.user)
    parser.add_argument("--time-limit", type=float, default=Settings.time_limit_seconds, metavar="SECONDS")
    parser.add_argument(
        "--fault",
        type=_fault,
        action="append",
        default=[],
        metavar="NAME[:TIMES]",
        help=f"arm a fault: {', '.join(faults.NAMED)}",
    )
    return parser


def _ends_with(parent: int) -> bool:
    """Ask the kernel for a SIGTERM when the parent ends; False if it has ended already."""
    parent_death = 1
    ctypes.CDLL(None).prctl(parent_death, signal.SIGTERM)
    return os.getppid() == parent


def _profile(options: argparse.Namespace) -> Profile:
    profile = PROFILES[options.profile]
    return replace(
        profile,
        layout=options.layout or profile.layout,
        starts_in=options.starts_in or profile.starts_in,
        replaces_earlier_session=options.replace_earlier,
        labels_on_status=not options.no_status_labels,
    )


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


def _fault(text: str) -> tuple[str, int]:
    name, _, times = text.partition(":")
    if name not in faults.NAMED or not (times.isdecimal() or not times):
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(faults.NAMED)}")
    return name, int(times or 0)


if __name__ == "__main__":
    raise SystemExit(main())
