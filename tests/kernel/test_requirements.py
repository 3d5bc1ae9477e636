"""Which lines pin, and whether the pins fit Kaggle's images, or which dependency would not be met."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_wheels import find_only, make_wheel

from kit.bundle import pins
from kit.config import PROJECT_ROOT
from kit.errors import KitError
from kit.pipeline.machine import install
from kit.remote import runs

KERNEL = PROJECT_ROOT / "kernel"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a==1.0\n# a comment\nb==2 ; extra == "cuda"  # why\n', (["a==1.0", "b==2"], [])),
        ("a>=1\nb\nc==1.*\n-r other.txt\n", ([], ["a>=1", "b", "c==1.*", "-r other.txt"])),
    ],
)
def test_only_exact_pins_count(tmp_path: Path, text: str, expected: tuple[list[str], list[str]]) -> None:
    """What may change from one run to the next is named."""
    path = tmp_path / "requirements.txt"
    path.write_text(text)
    assert pins.read(path) == expected


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
    """The check at home and the kernel see one list, in which every line pins."""
    text = (KERNEL / "requirements.txt").read_text(encoding="utf-8")
    assert pins.read(runs.REQUIREMENTS) == (install.pins(text, cuda=True), [])


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that stands for the package index."""
    for name, versions in {"torch": ("2.10.0", "2.11.0"), "kit_image": ("1.0", "2.0")}.items():
        for version in versions:
            make_wheel(tmp_path, name, version)
    return find_only(monkeypatch, tmp_path)


IMAGE = {"torch": "2.10.0", "kit-image": "1.0"}
NOBODY = "which neither the image nor kernel/requirements.txt brings"


@pytest.mark.parametrize(
    ("requires", "image", "says"),
    [
        (["torch>=2.10", "kit-image"], IMAGE, ""),
        (["torch>=2.11"], IMAGE, "The user requested torch==2.10.0; kit-toy 1.0 depends on torch>=2.11"),
        (["kit-image>=2"], IMAGE, "The user requested kit-image==1.0; kit-toy 1.0 depends on kit-image>=2"),
        (["kit-image>=2"], {**IMAGE, "kit-image": None}, ""),
        (["kit-image"], {"torch": "2.10.0"}, f"kit-toy wants kit-image, {NOBODY}"),
        (['kit-image; python_version < "3.12"'], {"torch": "2.10.0"}, ""),
        (['kit-image; extra == "more"'], {"torch": "2.10.0"}, ""),
    ],
)
def test_what_the_image_would_lack_is_named(
    requires: list[str], image: dict[str, str | None], says: str, index: Path
) -> None:
    """pip resolves the pins with the image's versions held; one that is not known is taken as good."""
    make_wheel(index, "kit_toy", "1.0", requires=requires)
    problems = pins.unmet(["kit-toy==1.0"], image, "3.12")
    assert len(problems) == bool(says)
    assert says in "".join(problems)


def test_the_image_s_own_torch_is_never_pinned() -> None:
    """It is built for the image's CUDA."""
    assert pins.unmet(["torch==2.11.0"], IMAGE, "3.12") == ["torch is pinned, and the image's own must stay"]


def test_a_pin_without_a_wheel_for_the_image_is_named(index: Path) -> None:
    """By doctor as a pin, by the check in pip's own words; Kaggle's Python counts, not this machine's."""
    make_wheel(index, "other", "2.0")
    make_wheel(index, "narrow", "1.0", tag="cp311-cp311-manylinux_2_17_x86_64")
    assert pins.unresolved(["kit-image==1.0"]) == ("", "")
    assert pins.unresolved(["other==2.0", "kit-other==2.0"]) == ("kit-other==2.0", "")
    assert pins.unresolved(["kit-image==1.0", "narrow==1.0", "kit-other==2.0"]) == ("narrow==1.0", "")
    with pytest.raises(KitError, match=r"No matching distribution found for kit-other==2\.0"):
        pins.unmet(["kit-other==2.0"], IMAGE, "3.12")


def test_an_index_that_cannot_be_asked_is_no_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network nothing is known of the pins."""
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_RETRIES", "0")
    missing, why = pins.unresolved(["anything==1.0"])
    assert (missing, bool(why)) == ("", True)
