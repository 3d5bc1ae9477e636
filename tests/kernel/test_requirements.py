"""The pins fit Kaggle's images, or the check says which dependency would not be met."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_wheels import make_wheel

from kit.bundle import pins
from kit.config import PROJECT_ROOT
from kit.errors import KitError
from kit.pipeline.machine import install

KERNEL = PROJECT_ROOT / "kernel"
IMAGE: dict[str, str | None] = {"torch": "2.10.0", "triton": "3.6.0", "torchvision": "0.25.0", "numpy": None}


def _wheel(name: str, *requires: str, version: str = "1.0") -> dict[str, Any]:
    return {"name": name, "version": version, "requires_dist": list(requires)}


NOBODY = "which neither the image nor kernel/requirements.txt brings"

# What pip reported of the real wheels, shortened.
XFORMERS = _wheel("xformers", "numpy", "torch>=2.10", version="0.0.35")
UNSLOTH = _wheel(
    "unsloth",
    'triton>=3.0.0; "linux" in sys_platform',
    'triton-windows; sys_platform == "win32" and platform_machine == "AMD64"',
    "torch<2.15.0,>=2.4.0",
    "torchvision",
    "unsloth_zoo>=2026.10.7",
    'colabtools; extra == "colab"',
    version="2026.10.7",
)
ZOO = _wheel("unsloth_zoo", "torch<2.15.0,>=2.4.0", "certifi>=2026.10.19", version="2026.10.9")
DATASETS = _wheel("datasets", "fsspec[http]<=2026.2.0,>=2023.1.0", "pyarrow>=21.0.0", version="4.8.5")
FSSPEC = _wheel("fsspec", 'aiohttp!=4.0.0a0; extra == "http"', 'adlfs; extra == "abfs"', version="2026.2.0")


@pytest.mark.parametrize(
    ("wheels", "image", "says"),
    [
        ([XFORMERS], {}, []),
        (
            [XFORMERS], {"torch": "2.9.1"},
            ["xformers wants torch>=2.10: torch 2.9.1 of the image would change"],
        ),
        (
            [_wheel("xformers", "torch==2.11.0")], {},
            ["xformers wants torch==2.11.0: torch 2.10.0 of the image would change"],
        ),
        (
            [_wheel("kernels", "triton<3.6")], {},
            ["kernels wants triton<3.6: triton 3.6.0 of the image would change"],
        ),
        ([_wheel("torch", version="2.13.0")], {}, ["torch is pinned, and the image's own must stay"]),
        (
            [UNSLOTH], {},
            [f"unsloth wants unsloth-zoo>=2026.10.7, {NOBODY}"],
        ),
        ([UNSLOTH, ZOO], {"certifi": "2026.10.19"}, []),
        ([UNSLOTH, {**ZOO, "version": "2026.9.1"}], {"certifi": "2026.10.19"},
         ["unsloth wants unsloth-zoo>=2026.10.7, and 2026.9.1 would be there"]),
        ([DATASETS, FSSPEC], {"pyarrow": "26.0.1", "aiohttp": "3.13.3"}, []),
        (
            [DATASETS, FSSPEC], {"pyarrow": "18.1.0"},
            [
                "datasets wants pyarrow>=21.0.0, and 18.1.0 would be there",
                f"fsspec wants aiohttp!=4.0.0a0, {NOBODY}",
            ],
        ),
        ([_wheel("peft", "numpy>=99")], {}, []),
        ([_wheel("older", 'tomli; python_version < "3.11"')], {}, []),
        ([_wheel("self", "self[more]", 'absent; extra == "more"')], {},
         [f"self wants absent, {NOBODY}"]),
    ],
)  # fmt: skip
def test_what_the_image_would_lack_is_named(
    wheels: list[dict[str, Any]], image: dict[str, str], says: list[str]
) -> None:
    """Markers are the image's, not this machine's; a version that nobody knows is taken as good."""
    findings = pins.unmet(wheels, IMAGE | image, "3.13")
    assert [finding.text for finding in findings if not finding.waived] == says


def test_a_waived_dependency_keeps_its_reason() -> None:
    """It is shown each time and fails nothing; the same need of another package is not waived."""
    asking = _wheel("another", "certifi>=2026.10.19")
    findings = pins.unmet([UNSLOTH, ZOO, asking], {**IMAGE, "certifi": "2026.1.4"}, "3.13")
    assert {finding.text.split()[0]: bool(finding.waived) for finding in findings} == {
        "another": False, "unsloth-zoo": True,
    }  # fmt: skip


@pytest.mark.parametrize("python", pins.IMAGE_PYTHONS)
def test_an_image_s_list_names_what_must_stay_and_says_where_it_is_from(python: str) -> None:
    """And what the kernel needs before it has installed anything."""
    path = KERNEL / f"image-{python}.txt"
    image = pins.read_image(path)
    assert all(image[name] for name in pins.KEPT)
    assert {"pydantic", "packaging", "huggingface-hub", "httpx", "pandas", "scikit-learn"} <= set(image)
    head = path.read_text(encoding="utf-8").partition("torch==")[0]
    assert "hand-kept" in head
    assert "googlecolab/backend-info" in head


def test_the_home_reads_the_pins_that_the_kernel_installs() -> None:
    """The check at home and the kernel see one list."""
    path = KERNEL / "requirements.txt"
    assert pins.read(path) == (install.pins(path.read_text(encoding="utf-8"), cuda=True), [])


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put wheels into a folder that stands for the package index."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))

    def add(name: str, *requires: str) -> None:
        make_wheel(tmp_path, name, "1.0", requires=requires)

    return add


def test_metadata_comes_from_the_wheels_themselves(index: Callable[..., None]) -> None:
    """pip reads it without installing; what a wheel asks for needs no wheel here."""
    index("kit_toy", "torch==0.0.1")
    found = pins.metadata(["kit-toy==1.0"], "3.12")
    assert [(wheel["name"], wheel["requires_dist"]) for wheel in found] == [("kit_toy", ["torch==0.0.1"])]
    assert [finding.text for finding in pins.unmet(found, IMAGE, "3.12")] == [
        "kit-toy wants torch==0.0.1: torch 2.10.0 of the image would change"
    ]


def test_a_pin_without_a_wheel_is_one_line(index: Callable[..., None]) -> None:
    """It names the pin and the Python."""
    index("kit_toy")
    with pytest.raises(KitError, match=r"no wheel of kit-other==2\.0 for Python 3\.12"):
        pins.metadata(["kit-toy==1.0", "kit-other==2.0"], "3.12")
