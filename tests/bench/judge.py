"""Time the validator on a million rows and on a thousand, and the parser on short completions.

Prints wall seconds with the interpreter's start-up, peak memory, and completions a second of one core.
"""

from __future__ import annotations

import csv
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SMALL = "--small" in sys.argv
AIMS = {1_000: 1.5} if SMALL else {1_000_000: 3.0, 1_000: 1.5}
"""Seconds."""
AIM_COMPLETIONS = 200_000
AIM_MEMORY = 2**30


def main() -> None:
    """Print one line a figure, with its aim."""
    with tempfile.TemporaryDirectory() as name:
        for count, aim in AIMS.items():
            seconds = min(_validate(Path(name), count) for _ in range(3))
            print(f"validate {count:>9,} rows  {seconds:6.2f} s      aim {aim} s")
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(f"validate peak memory      {memory / 2**20:6.0f} MiB    aim {AIM_MEMORY / 2**20:.0f} MiB")
    print(f"parse                     {_parse():6,.0f} /s     aim {AIM_COMPLETIONS:,} /s")


def _validate(folder: Path, count: int) -> float:
    test, submission = folder / "test.csv", folder / "submission.csv"
    if not test.exists() or sum(1 for _ in test.open()) != count + 1:
        test.write_text(
            "ID,sentence,language\n" + "".join(f"te{n},words of row {n},en\n" for n in range(count))
        )
        labels = ("Positive", "Negative")
        submission.write_text("ID,label\n" + "".join(f"te{n},{labels[n % 2]}\n" for n in range(count)))
        (folder / "sample.csv").write_text(submission.read_text())
    command = [sys.executable, str(ROOT / "scripts" / "validate.py"), str(submission), "--test", str(test)]
    started = time.monotonic()
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return time.monotonic() - started


def _parse() -> float:
    from kit.task.parse import parse

    with (ROOT / "tests" / "task" / "completions.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["completion"] for row in csv.DictReader(file) if not row["labels"]]
    short = [text for text in texts if len(text) <= 20] * 200
    started = time.process_time()
    for text in short:
        parse(text, ("Positive", "Negative"))
    return len(short) / (time.process_time() - started)


if __name__ == "__main__":
    main()
