"""Run every verb of the README and of docs/development.md once, small, in a copy of the checkout.

`make kaggle` answers, by the lines that it prints; `make rehearse` prints what the README shows. A verb that
no step here and no line of .ci/run names is an error, so that a new one cannot be forgotten.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

import checkout  # noqa: E402

from kit.fetch import inputs  # noqa: E402

SLUG = inputs.SAMPLE_SLUG
QUICK = "SET=train.epochs=1 kernel.title='Every verb'"
RUNS = "RUNS=every-verb-tiny/v1 every-verb-tiny/v2"
STEPS = (
    (True, "help"),
    (True, "settings", "PRESET=tiny"),
    (True, "tiny-model"),
    (True, "bundle", "PRESET=tiny", QUICK),
    (True, "notebook", "PRESET=tiny"),
    (True, "rehearse"),
    (True, "dry-run", QUICK, "NOTE=it's $5"),
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
    (True, "submit", "RUN=baseline-sample-sentiment"),
    (True, "compare", RUNS),
    (True, "blend", RUNS, "WEIGHTS=1 2"),
    (True, "adapters", "RUN=every-verb-tiny/v1"),
    (True, "infer", "FROM=every-verb-tiny/v1"),
    (True, "sweep", "PRESET=tiny", "GRID=train.learning_rate=1e-3,5e-3", "NOTE=-- why", QUICK),
    (False, "stop", "RUN=v1"),  # nobody is there to ask
    (True, "stop", "RUN=v1", "YES=1"),
    # Itself downloads gigabytes; tests/kernel/test_prepare.py runs its kernel.
    (False, "prepare", "TIMEOUT=soon"),
    (True, "bench", "SMALL=1"),
    (True, "clean"),
)


def uncovered() -> set[str]:
    """Return the verbs of the documents that are run neither here nor by .ci/run itself."""
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/development.md")]
    verbs = {verb for text in texts for verb in re.findall(r"^\| `make ([a-z0-9-]+)`", text, re.MULTILINE)}
    ours = re.findall(r"make ([a-z0-9-]+)", (ROOT / ".ci" / "run").read_text(encoding="utf-8"))
    return verbs - {verb for _, verb, *_ in STEPS} - {"kaggle"} - set(ours)


def untold(printed: str) -> list[str]:
    """Return the lines of the README's transcript that no rehearsal prints in this order, figures aside."""
    shown = (ROOT / "README.md").read_text(encoding="utf-8").split("shortened:\n\n```\n")[1].split("```")[0]
    rest = iter(re.sub(r"\d+", "0", printed).splitlines())
    return [
        line
        for line in re.sub(r"\d+", "0", shown).splitlines()
        if not any(said.startswith(line.rstrip("…")) for said in rest)
    ]


def make(verb: str, *variables: str) -> list[str]:
    return ["make", "-s", verb, *variables, f"PY={sys.executable}", "PYTHON=true"]


@contextmanager
def kaggle(copy: Path, environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """Start `make kaggle` and give the variables that it tells to export; Ctrl-C leaves nothing behind."""
    with subprocess.Popen(
        make("kaggle"), cwd=copy, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as server:
        try:
            assert server.stdout is not None
            told = next(line for line in server.stdout if line.startswith("export "))
            yield dict(part.split("=") for part in told.split()[1:])
        finally:
            os.killpg(server.pid, signal.SIGINT)
            try:
                assert "is gone" in server.communicate(timeout=60)[0]
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(server.pid, signal.SIGKILL)
    assert not (copy / "build" / "kaggle").exists()


def main() -> int:
    """Return 1 at the first verb that does not end as it should."""
    if missing := uncovered():
        print(f"error: no step runs make {', make '.join(sorted(missing))}", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # A job in the background ignores it, and so would the server that it is sent to.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "checkout")
        bare = checkout.copy(copy)
        with kaggle(copy, bare) as server:
            return run_all(copy, bare | server)


def run_all(copy: Path, environment: dict[str, str]) -> int:
    """Run the steps; return 1 at the first that does not end as it should."""
    for expected, verb, *variables in STEPS:
        started = time.monotonic()
        done = subprocess.run(
            make(verb, *variables), cwd=copy, env=environment, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=900, check=False,
        )  # fmt: skip
        missing = untold(done.stdout.replace(f"{copy}/", "")) if verb == "rehearse" else []
        passed = (done.returncode == 0) == expected and "Traceback" not in done.stderr and not missing
        seconds = time.monotonic() - started
        how = "pass" if passed else "FAIL"
        print(f"{how}  make {verb} {' '.join(variables)} ({seconds:.0f} s)", flush=True)
        if not passed:
            print(done.stdout[-3000:], done.stderr[-3000:], *missing, sep="\n", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
