"""The variables that steer the kit are checked where they are read."""

from __future__ import annotations

import pytest

from kit import environment
from kit.errors import SettingInvalid


@pytest.mark.parametrize(
    ("value", "is_fine"),
    [
        ("", True),
        ("http://127.0.0.1:8000", True),
        ("http://localhost:8000/", True),
        ("http://[::1]:8000", True),
        ("https://127.0.0.1:8000", False),
        ("http://127.0.0.1.evil.example:80", False),
        ("http://evil.example:80", False),
        ("http://127.0.0.1:80@evil.example", False),
        ("http://127.0.0.1", False),
    ],
)
def test_only_loopback_stands_in_for_kaggle(
    monkeypatch: pytest.MonkeyPatch, value: str, is_fine: bool
) -> None:
    """Credentials go to the endpoint, so any other host is refused."""
    monkeypatch.setenv("KIT_KAGGLE_ENDPOINT", value)
    if is_fine:
        assert environment.kaggle_endpoint() == (value.rstrip("/") or None)
    else:
        with pytest.raises(SettingInvalid, match="KIT_KAGGLE_ENDPOINT"):
            environment.kaggle_endpoint()
