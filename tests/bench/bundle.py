"""Print what a bundle costs: bytes over its tree, seconds to build, milliseconds to start over the bare tree.

Two trees: the probes' small one and 1.7 MB of the standard library's modules. It compares with no peer.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bundle"))

from probe_package import plant

from kit.bundle.script import bundle
from kit.bundle.tree import collect
from kit.files import write_whole

ROUNDS = 1 if "--small" in sys.argv else 9
LARGE_BYTES = 1_700_000


def plant_large(top: Path) -> Path:
    """Copy modules of the standard library, 1.7 MB in order of name, beside an entry that imports one."""
    (top / "modules").mkdir(parents=True)
    total = 0
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        total += path.stat().st_size
        if total > LARGE_BYTES:
            break
        shutil.copy(path, top / "modules" / path.name)
    (top / "main.py").write_text("import modules.argparse\n")
    return top / "main.py"


def seconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure(name: str, top: Path, entry: Path, source: Path, include: list[str] | None) -> None:
    """Build and start one tree ROUNDS times and print the medians."""
    script, temporary = top.parent / f"{name}.py", top.parent / f"{name}-temporary"
    temporary.mkdir()
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(temporary), "PYTHONPATH": str(source)}

    def start(path: Path) -> float:
        return seconds(
            lambda: subprocess.run([sys.executable, path], env=environment, check=True, timeout=60)
        )

    build = statistics.median(
        seconds(lambda: write_whole(script, bundle(collect(source, entry, include)).text))
        for _ in range(ROUNDS)
    )
    start(entry)
    rounds = [(start(entry), start(script)) for _ in range(ROUNDS)]
    bare, bundled = (statistics.median(column) * 1000 for column in zip(*rounds, strict=True))
    tree = collect(source, entry, include)
    inside, outside = sum(map(len, tree.files.values())), script.stat().st_size
    print(
        f"{name:6} {len(tree.files):4} files {inside:9,} bytes; bundle {outside:9,} ({outside - inside:+,}); "
        f"build {build:.3f} s; "
        f"start {bare:.0f} ms, bundled {bundled - bare:+.0f} ms"
    )


def main() -> None:
    """Measure both trees with this interpreter."""
    print(f"Python {sys.version.split()[0]}, median of {ROUNDS}")
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder, "small"), Path(folder, "large")
        measure("small", small, plant(small, "import pkg\n"), small / "src", ["kernel", "src"])
        measure("large", large, plant_large(large), large, None)


if __name__ == "__main__":
    main()
