"""Read the variables by which an environment may steer the kit; they are read here and nowhere else.

Nothing is read at import. The README lists those that are meant for a person.
"""

import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from kit.errors import KitError, SettingInvalid


def input_dir() -> Path:
    """Return the folder that holds the attached inputs."""
    return _kaggle_or("/kaggle/input", "KIT_INPUT_DIR")


def working_dir() -> Path:
    """Return the folder whose contents become the kernel's output."""
    return _kaggle_or("/kaggle/working", "KIT_WORKING_DIR")


def kaggle_endpoint() -> str | None:
    """Return the server of KIT_KAGGLE_ENDPOINT that stands in for Kaggle, or None for Kaggle itself.

    Raises SettingInvalid for anything but `http://` and a loopback address: credentials go there.
    """
    endpoint = os.environ.get("KIT_KAGGLE_ENDPOINT", "").rstrip("/")
    if not endpoint:
        return None
    if not re.fullmatch(r"http://(127\.0\.0\.1|localhost|\[::1\]):\d+", endpoint):
        raise SettingInvalid(
            f"KIT_KAGGLE_ENDPOINT={endpoint!r} is not http://127.0.0.1:PORT", hint="unset KIT_KAGGLE_ENDPOINT"
        )
    return endpoint


def kaggle_api_token() -> str:
    """Return KAGGLE_API_TOKEN, which is a token or the path of a file that holds one."""
    return os.environ.get("KAGGLE_API_TOKEN", "")


def kaggle_user_and_key() -> tuple[str, str]:
    """Return KAGGLE_USERNAME and KAGGLE_KEY, each empty where it is not set."""
    return os.environ.get("KAGGLE_USERNAME", ""), os.environ.get("KAGGLE_KEY", "")


def session_number() -> int | None:
    """Return the number by which Kaggle cancels the session that this is; it is told nowhere else."""
    found = re.fullmatch(r"kaggle_.+-([0-9]{1,18})-webtier", os.environ.get("KAGGLE_CONTAINER_NAME", ""))
    return int(found[1]) if found else None


def docker_image() -> str:
    """Return the image that this kernel runs in, as Kaggle names it; empty elsewhere."""
    return os.environ.get("KAGGLE_DOCKER_IMAGE", "")


def kaggle_config_dir() -> Path:
    """Return the folder of kaggle.json by the rules of Kaggle's own command."""
    if chosen := os.environ.get("KAGGLE_CONFIG_DIR"):
        return Path(chosen)
    folder = Path.home() / ".kaggle"
    if not sys.platform.startswith("linux") or os.path.exists(folder):  # noqa: PTH110 - bears any value
        return folder
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "kaggle"


def take_variables(names: Iterable[str]) -> dict[str, str]:
    """Return what make passes on, `SET` as KIT_SET, and keep it from the processes that are started here."""
    return {name: os.environ.pop(f"KIT_{name}", "") for name in names}


def started() -> float | None:
    """Return when the kernel began, by the monotonic clock that all its processes share; None outside one."""
    found = os.environ.get("KIT_STARTED")
    return float(found) if found else None


def stage_seconds(stage: str) -> float:
    """Return how long a stage took before the pipeline began, "install" or "download"."""
    return float(os.environ.get(f"KIT_{stage.upper()}_SECONDS", "0"))


def rank() -> int:
    """Return which one this process is of those that train a model together (torch's own variable)."""
    return int(os.environ.get("RANK", "0"))


def ranks() -> int:
    """Return how many processes train a model together (torch's own variable)."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_offline() -> bool:
    """Return whether Hugging Face must not be called (its own variable, HF_HUB_OFFLINE)."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def _kaggle_or(kaggle: str, variable: str) -> Path:
    path = Path(os.environ.get(variable) or kaggle)
    if not path.is_dir():
        raise KitError(f"{path} is not a folder", hint=f"make dry-run, or set {variable}")
    return path
