"""Run every verb of the README and of docs/development.md once, small, in a copy of the checkout.

A Kaggle on this machine answers. A verb that no step here and no line of .ci/run names is an error, so that a
new one cannot be forgotten.
"""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

import checkout  # noqa: E402
from rehearse import local_kaggle  # noqa: E402

from kit import config  # noqa: E402
from kit.fetch import inputs  # noqa: E402

SLUG = inputs.SAMPLE_SLUG
QUICK = "SET=train.epochs=1 kernel.title='Every verb'"
RUNS = "RUNS=every-verb-tiny/v1 every-verb-tiny/v2"
STEPS = (
    (True, "help"),
    (True, "settings", "PRESET=tiny"),
    (True, "tiny-model"),
    (True, "bundle", "PRESET=tiny", QUICK),
    (True, "dry-run", QUICK),
    (True, "init", f"COMPETITION=https://www.kaggle.com/competitions/{SLUG}/data"),
    (True, "data"),
    (True, "doctor", "PRESET=tiny", QUICK),
    (True, "push", "PRESET=tiny", QUICK),
    (True, "watch", "TIMEOUT=600"),
    (True, "pull"),
    (True, "validate"),
    (True, "report"),
    (True, "all", "PRESET=tiny", f"{QUICK} seed=7"),
    (True, "submit", "RUN=v2", "MESSAGE=it's $5"),
    (True, "runs"),
    (True, "baseline"),
    (True, "compare", RUNS),
    (True, "blend", RUNS, "WEIGHTS=1 2"),
    (True, "sweep", "PRESET=tiny", "GRID=train.learning_rate=1e-3,5e-3", QUICK),
    (False, "stop", "RUN=v1"),  # nobody is there to ask
    (True, "stop", "RUN=v1", "YES=1"),
    (
        False,
        "prepare",
        "TIMEOUT=soon",
    ),  # itself downloads gigabytes; tests/kernel/test_prepare.py runs its kernel
    (True, "bench", "SMALL=1"),
    (True, "clean"),
)


def uncovered() -> set[str]:
    """Return the verbs of the documents that are run neither here nor by .ci/run itself."""
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/development.md")]
    verbs = {verb for text in texts for verb in re.findall(r"^\| `make ([a-z0-9-]+)`", text, re.MULTILINE)}
    ours = re.findall(r"make ([a-z0-9-]+)", (ROOT / ".ci" / "run").read_text(encoding="utf-8"))
    return verbs - {verb for _, verb, *_ in STEPS} - set(ours)


def main() -> int:
    """Return 1 at the first verb that does not end as it should."""
    if missing := uncovered():
        print(f"error: no step runs make {', make '.join(sorted(missing))}", file=sys.stderr)
        return 1
    settings = config.resolve("tiny")
    inputs.model_folder(settings)
    token = secrets.token_hex(16)
    with tempfile.TemporaryDirectory() as folder, local_kaggle(settings, inputs.SAMPLE, token) as endpoint:
        copy = Path(folder, "checkout")
        server = {"KIT_KAGGLE_ENDPOINT": endpoint, "KAGGLE_API_TOKEN": token}
        environment = checkout.copy(copy) | server
        for expected, verb, *variables in STEPS:
            started = time.monotonic()
            command = ["make", "-s", verb, *variables, f"PY={sys.executable}", "PYTHON=true"]
            done = subprocess.run(
                command,
                cwd=copy,
                env=environment,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                check=False,
            )
            passed = (done.returncode == 0) == expected and "Traceback" not in done.stderr
            shown = " ".join(variables)
            print(
                f"{'pass' if passed else 'FAIL'}  make {verb} {shown} ({time.monotonic() - started:.0f} s)",
                flush=True,
            )
            if not passed:
                print(done.stdout[-3000:], done.stderr[-3000:], sep="\n", file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
