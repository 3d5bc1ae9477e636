"""What Kaggle runs: install what is missing, then the pipeline in a child process.

A child, because packages that were just upgraded must not meet half-imported old ones. Its exit status is
the kernel's. Standard library only, apart from packaging, which pip's own users all have.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().with_name("requirements.txt")


def missing(requirements: str, *, cuda: bool) -> list[str]:
    """Return the pins of `requirements` that this interpreter does not meet, CUDA-only ones where asked."""
    from packaging.requirements import Requirement

    wanted = []
    for line in requirements.splitlines():
        text = line.partition("#")[0].strip()
        if not text:
            continue
        requirement = Requirement(text)
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": "cuda" if cuda else ""})
        if applies and not _is_met(requirement.name, str(requirement.specifier)):
            wanted.append(f"{requirement.name}{requirement.specifier}")
    return wanted


def _is_met(name: str, specifier: str) -> bool:
    from packaging.specifiers import SpecifierSet

    try:
        return SpecifierSet(specifier).contains(importlib.metadata.version(name), prereleases=True)
    except importlib.metadata.PackageNotFoundError:
        return False


def install(pins: list[str]) -> None:
    """Install exactly these pins and nothing they ask for: the image's torch and its kin must stay."""
    print(f"installing {' '.join(pins)}", flush=True)
    installer = (
        ["uv", "pip", "install", "--system"]
        if shutil.which("uv")
        else [sys.executable, "-m", "pip", "install"]
    )
    result = subprocess.run([*installer, "--quiet", "--no-deps", *pins], check=False)
    if result.returncode != 0:
        print(
            "error: the packages above could not be installed "
            "(try: kernel.internet=true; it needs a phone-verified Kaggle account)",
            file=sys.stderr,
        )
        sys.exit(1)


def main() -> int:
    """Install, run the pipeline, return its exit status."""
    started = time.monotonic()
    pins = missing(REQUIREMENTS.read_text(encoding="utf-8"), cuda=shutil.which("nvidia-smi") is not None)
    if pins:
        install(pins)
    environment = {
        # Downloads go where there is room: /kaggle/working is the kernel's output and holds 20 GB.
        "HF_HOME": str(Path(os.environ.get("TMPDIR", "/tmp")) / "huggingface"),  # noqa: S108
        # A log is no terminal: there a progress bar is thousands of lines.
        "TQDM_DISABLE": "1",
        **os.environ,
        "KIT_INSTALL_SECONDS": f"{time.monotonic() - started:.2f}",
    }
    return subprocess.run([sys.executable, "-m", "kit.pipeline.run"], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
