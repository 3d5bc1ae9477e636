"""Decide as Kaggle does what becomes of a push: refused, filed under which kernel, with which sources.

A refused push makes no version. Running what was accepted is the business of sessions.py.
"""

import json
import re
import unicodedata
from pathlib import Path

from local_kaggle.sandbox import Mount
from local_kaggle.state import Kernel, Push, Refused, State

SOURCE_LIMIT_BYTES = 1 << 20
SESSION_LIMITS = {"GPU": 2, "CPU": 5}
PLACES = {"competition": "competitions", "dataset": "datasets", "kernel": "notebooks", "model": "models"}
"""Where the sources of each kind are mounted."""
NAME = re.compile(r"\w[\w.-]{0,99}")
"""What a file of a dataset and each part of a handle may be called: nothing that leads out of a folder."""
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")


def filed(state: State, push: Push, text: str) -> Kernel:
    """Give the kernel of an accepted push; raises Refused, with status 200 for a successful error."""
    _check(push, text, state.settings.user)
    slug = slug_of(push.title) if push.title else push.slug
    known = next((kernel for kernel in state.kernels if kernel.id == push.id), None)
    kernel = known or state.kernel(push.owner, slug)
    if kernel and not kernel.versions:
        raise Refused(200, "Notebook not found")
    if kernel and any(version.push.kernel_type != push.kernel_type for version in kernel.versions):
        raise Refused(200, "The kernel type of an existing kernel cannot be changed.")
    objection = _objection(state, push)
    if kernel is None and not (objection and not state.settings.profile.refusal_leaves_shell):
        kernel = Kernel(state.next_id(), push.owner, slug, slug)
        state.kernels.append(kernel)
        state.save()
    if objection or kernel is None:
        raise Refused(200, objection)
    kernel.title = push.title or kernel.title
    return kernel


def mounts(state: State, push: Push, competition: Path) -> tuple[list[Mount], dict[str, list[str]]]:
    """Find the folder behind each source; handles of those that do not exist are listed by their kind."""
    found = {
        kind: {handle: _mount(state, kind, handle, competition) for handle in push.sources(kind)}
        for kind in PLACES
    }
    invalid = {kind: [handle for handle, mount in of.items() if not mount] for kind, of in found.items()}
    return [mount for of in found.values() for mount in of.values() if mount], invalid


def slug_of(title: str) -> str:
    """Make the slug that Kaggle files a title under."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def dataset_folder(state: State, handle: str) -> Path | None:
    """Give the folder of a dataset that exists here."""
    return _below(state.root / "datasets", handle, 2)


def _objection(state: State, push: Push) -> str:
    """Say why a push is refused in the body of a successful answer, or nothing."""
    kind, quota = "GPU" if push.uses_gpu else "CPU", state.settings.gpu_quota_seconds
    alike = [v for v in state.versions() if v.push.uses_gpu == push.uses_gpu and not v.is_terminal]
    if push.title and (len(push.title) < 5 or not _SLUG.fullmatch(slug_of(push.title))):
        return "Title must be at least five characters."
    if push.language != "python" or push.kernel_type not in ("script", "notebook"):
        return f"The local Kaggle runs no {push.language} {push.kernel_type}."
    if len(alike) >= SESSION_LIMITS[kind]:
        return f"Maximum batch {kind} session count of {SESSION_LIMITS[kind]} reached."
    if push.uses_gpu and state.gpu_seconds_used() >= quota:
        return f"Maximum weekly GPU quota of {quota / 3600:.2f} hours reached."
    return ""


def _check(push: Push, text: str, user: str) -> None:
    """Refuse what is too large, another's, could lead out of a folder or never end; raises Refused."""
    parts = [part for kind in PLACES for handle in push.sources(kind) for part in handle.split("/")]
    too_large = len(text.encode()) > SOURCE_LIMIT_BYTES
    if too_large or (push.kernel_type == "notebook" and not _is_taken_as_notebook(text)):
        raise Refused(400, "")
    if push.owner != user:
        raise Refused(403, "Permission 'kernels.update' was denied")
    if not push.title and not _SLUG.fullmatch(push.slug):
        raise Refused(400, f"Invalid slug {push.slug!r}.")
    if {"", ".", ".."}.intersection(parts):
        raise Refused(400, "Invalid data source.")
    if push.session_timeout_seconds < 0:
        raise Refused(400, f"Invalid session timeout {push.session_timeout_seconds}.")


def _is_taken_as_notebook(text: str) -> bool:
    """Tell whether Kaggle takes it: JSON with a kernel's name, and every source one string."""
    try:
        made = json.loads(text)
        named = made["metadata"]["kernelspec"]["name"] and made["metadata"]["kernelspec"]["language"]
        return bool(named) and all(isinstance(cell["source"], str) for cell in made["cells"])
    except (ValueError, KeyError, TypeError):
        return False


def _mount(state: State, kind: str, handle: str, competition: Path) -> Mount | None:
    settings = state.settings
    folder: Path | None = None
    if kind == "competition":
        folder = competition if handle == settings.slug and settings.joined else None
    elif kind == "kernel":
        kernel = state.kernel(*handle.split("/")) if handle.count("/") == 1 else None
        complete = [v for v in kernel.versions if v.status == "COMPLETE"] if kernel else []
        left = [state.folder(v) / name for v in complete[-1:] for name in ("attached", "output")]
        folder = next((path for path in left if path.exists()), None)
    elif kind == "dataset":
        folder = dataset_folder(state, handle)
    else:
        versions = _below(settings.models, handle, 4)
        numbers = [int(path.name) for path in versions.iterdir() if path.name.isdecimal()] if versions else []
        handle = f"{handle}/{max(numbers)}" if numbers else handle
        folder = _below(settings.models, handle, 5)
    return Mount(PLACES[kind], handle, folder) if folder else None


def _below(root: Path | None, handle: str, parts: int) -> Path | None:
    """Give the folder of a handle below `root`, if it exists and the handle cannot climb out."""
    names = handle.split("/")
    if root is None or len(names) != parts or not all(map(NAME.fullmatch, names)):
        return None
    folder = root.joinpath(*names)
    return folder if folder.is_dir() else None
