"""Try every combination of settings in one run, on Kaggle or, with a preset of the CPU, on this machine."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from kit.command import run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--preset", default="t4x2", help="preset that all points share (default: %(default)s)"
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="override a setting")
    parser.add_argument(
        "--grid", default="", metavar="'NAME=A,B …'", help="settings with their values by commas"
    )
    parser.add_argument(
        "--timeout", type=float, metavar="SECONDS", help="stop a run of this machine after this"
    )
    arguments = parser.parse_args()

    from kit import config

    points = config.grid(arguments.grid)
    setting = f"run.grid={json.dumps(points)}"
    resolved = config.resolve(arguments.preset, [*arguments.set, setting])
    for number, point in enumerate(points):
        print(f"point {number}: {point}", flush=True)
    here = resolved.kernel.accelerator == "none"
    command = [sys.executable, str(Path(__file__).with_name("dry_run.py" if here else "push.py"))]
    command += ["--preset", arguments.preset]
    for each in [*arguments.set, setting]:
        command += ["--set", each]
    if here and arguments.timeout:
        command += ["--timeout", str(arguments.timeout)]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    run(main)
