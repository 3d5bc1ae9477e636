"""Decide under which name each output stands in a run's folder.

The kit's own records cannot be overwritten, no name leads out of the folder, and no odd one keeps the others
from coming home. It touches no file.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from kit.bundle.metadata import CODE_FILES
from kit.bundle.origin import PATCH
from kit.files import sha256_of
from kit.outputs import DRY_RUN, LOG_NAME, MADE

ASIDE = "kaggle"
"""Folder of what Kaggle adds to a kernel's outputs, and of outputs with odd names."""
OURS = (
    *("push.json", "pull.json", LOG_NAME, "submission.json", "report.html", "adapters.json"),
    *(*CODE_FILES.values(), PATCH, ASIDE, MADE, DRY_RUN),
)
KAGGLES = ("__script__.py", "__script__.ipynb", "__results__.html", "__output__.json", "custom.css")
LONGEST_NAME, LONGEST_PATH, DEEPEST = 255, 1000, 100


def places(names: Iterable[str], promised: Collection[str] | None) -> dict[str, str]:
    """Return the path of every output below the run's folder.

    `promised` are the names that the kernel listed itself, None where it left no list; others go aside.
    """
    found: dict[str, str] = {}
    files: set[str] = set()
    folders: set[str] = set()
    for name in sorted(names, key=lambda name: (promised is not None and name not in promised, name)):
        ours = name not in KAGGLES if promised is None else name in promised
        path = name if ours else f"{ASIDE}/{name}"
        is_plain = _is_plain(name)
        above = {path[:end] for end, letter in enumerate(path) if letter == "/"} if is_plain else set()
        is_taken = path in folders or above & files
        if not is_plain or is_taken or (ours and name.partition("/")[0].casefold() in OURS):
            # Another name, which tells two odd ones apart and shows what they were.
            plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[-60:].lstrip(".")
            path, above = f"{ASIDE}/{plain}-{sha256_of(readable(name))[:8]}", {ASIDE}
        found[name] = path
        files.add(path)
        folders |= above
    return found


def readable(name: str) -> str:
    """Return a name as UTF-8 can hold it."""
    return name.encode("utf-8", "backslashreplace").decode()


def _is_plain(name: str) -> bool:
    parts = name.split("/")
    try:
        longest = max(len(part.encode()) for part in parts)
    except UnicodeEncodeError:
        return False
    is_short = longest <= LONGEST_NAME and len(name.encode()) <= LONGEST_PATH and len(parts) <= DEEPEST
    return is_short and not {"", ".", ".."} & set(parts) and not {"\\", "\0"} & set(name)
