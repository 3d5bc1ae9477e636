"""A copy of the checkout whose kernel is a few lines, for running the verbs as a user does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SLUG = "little-reviews"
KERNEL = "little-reviews-tiny"
MODEL = "kit/none/transformers/default/1"

KERNEL_MAIN = '''
"""Answers the first label for every test row, and leaves the files of a run."""

import csv, hashlib, json, os, pathlib, sys

manifest = json.loads((pathlib.Path(__file__).resolve().parents[1] / "bundle.json").read_text())
working = pathlib.Path(os.environ["KIT_WORKING_DIR"])
test = next(pathlib.Path(os.environ["KIT_INPUT_DIR"]).rglob("test.csv"))
competition = manifest["config"]["competition"]
print(json.dumps({"event": "train", "member": "seed-42", "rows": 6}), flush=True)
print("a line for stderr", file=sys.stderr)
ids = [row[competition["id"]] for row in csv.DictReader(test.open())]
with (working / "submission.csv").open("w") as file:
    file.write(f"{competition['id']},{competition['label']}\\n")
    for number, name in enumerate(ids):
        file.write(f"{name},{competition['labels'][number % len(competition['labels'])]}\\n")
sha256 = hashlib.sha256(test.read_bytes()).hexdigest()
told = {"schema": 1, "bundle_hash": manifest["bundle_hash"], "config": manifest["config"],
        "ended": "complete", "timings": {"train": 1.0}, "test_sha256": sha256, "test_ids": ids}
(working / "run.json").write_text(json.dumps(told))
from kit import outputs
outputs.write_manifest(working)
print(json.dumps({"event": "end", "ended": "complete"}), flush=True)
'''

QUICK_TIME = """
import time

_sleep, _now, _slept = time.sleep, time.monotonic, [0.0]


def _quick(seconds):
    _slept[0] += seconds
    _sleep(min(seconds, 0.01))


time.sleep, time.monotonic = _quick, lambda: _now() + _slept[0]
"""
"""A sitecustomize under which sleeping takes no time but counts."""


@dataclass(frozen=True)
class Said:
    """How a script ended."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line that a user reads, or the last line of a success."""
        errors = [line for line in self.err.splitlines() if line.startswith("error: ")]
        lines = errors or [line for line in self.out.splitlines() if line.strip()]
        return lines[-1] if lines else ""


class Project:
    """A checkout in `root`; its runs are in `root`/runs/rehearsal."""

    def __init__(self, root: Path, competition: Path) -> None:
        self.root = root
        self.whole = b""  # push.json of a run that is known to be whole
        self.runs = root / "runs" / "rehearsal"
        for name in ("src", "scripts"):
            shutil.copytree(
                ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
            )
        for name in ("kit.toml", "kernel-metadata.json", "pyproject.toml"):
            shutil.copy(ROOT / name, root / name)
        (root / "kernel").mkdir()
        shutil.copy(ROOT / "kernel" / "requirements.txt", root / "kernel")
        (root / "kernel" / "main.py").write_text(KERNEL_MAIN)
        shutil.copytree(competition, root / "data" / SLUG)
        (root / "models" / MODEL).mkdir(parents=True)
        (root / "models" / MODEL / "config.json").write_text("{}")
        (root / "quick").mkdir()
        (root / "quick" / "sitecustomize.py").write_text(QUICK_TIME)
        settings = (root / "kit.toml").read_text()
        settings += f'\n[preset.tiny]\nextends = "small"\nmodel = {{ name = "{MODEL}" }}\n'
        (root / "kit.toml").write_text(settings)

    def environment(self, endpoint: str = "", *, quick: bool = True, **variables: str) -> dict[str, str]:
        """Return the variables of a script that talks to `endpoint`."""
        paths = [self.root / "src", *([self.root / "quick"] if quick else [])]
        home = self.root / "home"
        home.mkdir(exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("KAGGLE_", "KIT_"))}
        ours = {
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "HOME": str(home),
            "KIT_KAGGLE_ENDPOINT": endpoint,
        }
        return kept | ours | variables

    def start(self, verb: str, *options: str, **environment: str) -> subprocess.Popen[str]:
        """Start a script."""
        return subprocess.Popen(
            [sys.executable, str(self.root / "scripts" / f"{verb.replace('-', '_')}.py"), *options],
            env=environment,
            cwd=self.root,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def run(self, verb: str, *options: str, **environment: str) -> Said:
        """Run a script to its end."""
        with self.start(verb, *options, **environment) as process:
            try:
                out, err = process.communicate(timeout=100)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return Said(process.returncode, out, err)

    def files(self) -> list[str]:
        """Return what stands in runs/; hidden files, older runs and kernel.py left out."""
        found = (
            path.relative_to(self.runs)
            for path in self.runs.rglob("*")
            if path.is_file() and path.name != "kernel.py"
        )
        return sorted(p.as_posix() for p in found if not any(part.startswith(".") for part in p.parts))

    def forget(self, *, pulled_only: bool) -> None:
        """Empty runs/, or leave push.json of each run."""
        if not pulled_only:
            shutil.rmtree(self.runs, ignore_errors=True)
            return
        for path in [*self.runs.glob("*/v*/*"), *self.runs.glob("*/.v*.pull")]:
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != "push.json":
                path.unlink()
