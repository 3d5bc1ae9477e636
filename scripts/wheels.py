"""Download the kernel's wheels at home, one folder a Python, to be attached as a private dataset."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from kit.command import run


def main() -> None:
    """Fill build/wheels/<python>/ and print sizes and the commands that attach them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("python", nargs="*", help="Pythons of Kaggle's images (default: all known)")
    arguments = parser.parse_args()

    from kit import config
    from kit.bundle import metadata, pins
    from kit.fetch import wheels
    from kit.pipeline.machine import install

    title = config.resolve("t4x2").kernel.title
    wanted = install.pins(install.REQUIREMENTS.read_text(encoding="utf-8"), cuda=True)
    for python in arguments.python or pins.IMAGE_PYTHONS:
        folder = config.PROJECT_ROOT / "build" / "wheels" / python
        made = wheels.make(
            folder,
            wanted,
            pins.target(python),
            finish=partial(install.mark, python=python, wanted=wanted),
        )
        sizes = wheels.sizes(folder)
        state = "downloaded" if made else "up to date"
        where = folder.relative_to(config.PROJECT_ROOT)
        print(f"{where}: {len(sizes)} wheels, {sum(sizes.values()) / 1e6:,.0f} MB, {state}", flush=True)
        for wheel, size in list(sizes.items())[:3]:
            print(f"  {size / 1e6:6.1f} MB  {wheel}")
        handle = wheels.describe(folder, f"{title} wheels {python}", metadata.PLACEHOLDER_OWNER)
    _explain(where, where / wheels.DATASET, handle, metadata.PLACEHOLDER_OWNER)


def _explain(folder: Path, description: Path, handle: str, placeholder: str) -> None:
    if handle.startswith(f"{placeholder}/"):
        print(f"next: write your name for {placeholder} into {description}, then")
    print(f"  .venv/bin/kaggle datasets create -p {folder}   (private unless you add --public)")
    print(f"  make push SET='kernel.internet=false kernel.dataset_sources=[\"{handle}\"]'")
    print("the model comes from a Kaggle Model in model.name, or from make prepare, which brings both")


if __name__ == "__main__":
    run(main)
