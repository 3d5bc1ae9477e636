"""Try every combination of settings in one run, on Kaggle or, with a preset of the CPU, on this machine."""

import json

from rehearse import script

from kit.command import Arguments, spend, verb


@verb("preset", "set", "grid", "timeout", "note", "yes")
def main(arguments: Arguments) -> int:
    from kit import config

    points = config.grid(arguments.grid)
    settings = [*arguments.set, f"run.grid={json.dumps(points)}"]
    resolved = config.resolve(arguments.preset, settings)
    here = resolved.kernel.accelerator == "none"
    if not here:
        spend("GPU hours", agreed=arguments.yes)
    for number, point in enumerate(points):
        print(f"point {number}: {point}", flush=True)
    options = [f"--preset={arguments.preset}", f"--note={arguments.note}"]
    options += [f"--set={text}" for text in settings]
    if here and arguments.timeout:
        options += ["--timeout", str(arguments.timeout)]
    return script("dry_run" if here else "push", options)
