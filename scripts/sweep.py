"""Try every combination of settings in one run, on Kaggle or, with a preset of the CPU, on this machine."""

import json
import subprocess
import sys
from pathlib import Path

from kit.command import options, run, spend
from kit.pipeline.machine.children import end_with_parent


def main() -> int:
    arguments = options(__doc__, "preset", "set", "grid", "timeout", "note", "yes").parse_args()

    from kit import config

    points = config.grid(arguments.grid)
    setting = f"run.grid={json.dumps(points)}"
    resolved = config.resolve(arguments.preset, [*arguments.set, setting])
    here = resolved.kernel.accelerator == "none"
    if not here:
        spend("GPU hours", agreed=arguments.yes)
    for number, point in enumerate(points):
        print(f"point {number}: {point}", flush=True)
    command = [sys.executable, str(Path(__file__).with_name("dry_run.py" if here else "push.py"))]
    command += ["--preset", arguments.preset, "--note", arguments.note]
    for each in [*arguments.set, setting]:
        command += ["--set", each]
    if here and arguments.timeout:
        command += ["--timeout", str(arguments.timeout)]
    return subprocess.run(command, check=False, preexec_fn=end_with_parent()).returncode


if __name__ == "__main__":
    run(main)
