"""Average the predictions of runs into one submission, score it on shared held-out rows, validate it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from kit.command import options, run


def main() -> int:
    arguments = options(__doc__, "runs", "weights").parse_args()

    from kit.errors import KitError
    from kit.remote import runs
    from kit.review import blend, ledger, results

    if len(arguments.runs) < 2:
        raise KitError(
            f"a blend needs two runs, {len(arguments.runs)} are named", hint='make blend RUNS="v1 v2"'
        )
    weights = blend.shares(arguments.weights, len(arguments.runs))
    blended = blend.blend([results.read(runs.folder_of(name)) for name in arguments.runs], weights)
    folder = blend.write(blended, runs.RUNS)
    blend.show(blended)
    ledger.keep(folder, commit=runs.commit())
    validator = [sys.executable, str(Path(__file__).with_name("validate.py")), "--run", str(folder)]
    status = subprocess.run(validator, check=False).returncode
    if status == 0:
        slug, path = blended.runs[0].competition.slug, folder / "submission.csv"
        print(f"next: .venv/bin/kaggle competitions submit {slug} -f {path} -m '{folder.name}'")
    return status


if __name__ == "__main__":
    run(main)
