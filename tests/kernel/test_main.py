"""The kernel's entry decides what to install before anything heavy is imported."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def main() -> ModuleType:
    """kernel/main.py as a module."""
    spec = importlib.util.spec_from_file_location("kernel_main", ROOT / "kernel" / "main.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("requirements", "cuda", "wanted"),
    [
        ("pytest>=1", False, []),
        ("pytest==0.0.1", False, ["pytest==0.0.1"]),
        ("no-such-package==1.0  # why", False, ["no-such-package==1.0"]),
        ("# only a comment\n\n", True, []),
        ('no-such-package==1.0 ; extra == "cuda"', False, []),
        ('no-such-package==1.0 ; extra == "cuda"', True, ["no-such-package==1.0"]),
        ('no-such-package==1.0 ; python_version < "3.0"', True, []),
    ],
)
def test_only_what_is_missing_or_outside_its_pin_is_installed(
    main: ModuleType, requirements: str, cuda: bool, wanted: list[str]
) -> None:
    """CUDA-only lines count where there is a GPU and nowhere else."""
    assert main.missing(requirements, cuda=cuda) == wanted


def test_the_kernel_never_replaces_the_image_s_torch(main: ModuleType) -> None:
    """torch, torchvision, triton, numpy and pandas stay the image's own."""
    pins = main.missing((ROOT / "kernel" / "requirements.txt").read_text(), cuda=True)
    lines = (ROOT / "kernel" / "requirements.txt").read_text().splitlines()
    names = {line.partition("==")[0].strip() for line in lines if "==" in line and not line.startswith("#")}
    assert not names & {"torch", "torchvision", "triton", "numpy", "pandas"}
    assert all("==" in pin for pin in pins)


def test_the_kernel_pins_what_the_lock_holds() -> None:
    """The dry run meets the very versions that Kaggle will install."""
    lock = dict(
        line.split("==") for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line
    )
    for line in (ROOT / "kernel" / "requirements.txt").read_text().splitlines():
        if "==" in line and not line.startswith("#") and "cuda" not in line:
            name, version = line.strip().split("==")
            assert lock[name] == version, name
