"""Which lines of a requirements file pin, and which pins have a wheel for Kaggle's image."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_wheels import make_wheel

from kit.bundle import pins
from kit.remote import runs


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


def test_the_kernels_own_requirements_are_exact() -> None:
    """The file that ships pins every line."""
    found, loose = pins.read(runs.REQUIREMENTS)
    assert found
    assert loose == []


def test_a_pin_without_a_wheel_for_the_image_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip itself is asked, with Kaggle's Python and platform in place of this machine's."""
    make_wheel(tmp_path, "good", "1.0")
    make_wheel(tmp_path, "narrow", "1.0", tag="cp311-cp311-manylinux_2_17_x86_64")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    assert pins.unresolved(["good==1.0"]) == ("", "")
    assert pins.unresolved(["good==1.0", "absent==3"]) == ("absent==3", "")
    assert pins.unresolved(["good==1.0", "narrow==1.0", "absent==3"]) == ("narrow==1.0", "")


def test_an_index_that_cannot_be_asked_is_no_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network nothing is known of the pins."""
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_RETRIES", "0")
    missing, why = pins.unresolved(["anything==1.0"])
    assert missing == ""
    assert why
