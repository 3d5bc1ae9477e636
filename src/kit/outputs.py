"""The list that a run leaves of its own outputs, by which a pull proves what came home.

Written by the kernel as its very last file, read at home; Kaggle's own listings prove nothing.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from kit.errors import InputInvalid
from kit.files import read_json, sha256_of, write_json

MANIFEST = "outputs.json"
LOG_NAME = "kernel.log"
"""What a pull writes of a run's log, beside its outputs."""
MADE = "made.json"
"""In place of push.json in the folder of answers that were made at home: a blend, a baseline."""
DRY_RUN = "dry-run.json"
"""In place of push.json in the folder of a dry run."""
SCHEMA = 1


@dataclass(frozen=True)
class Output:
    """What one output file holds."""

    bytes: int
    sha256: str


def files_of(folder: Path) -> dict[str, Output]:
    """Return every file below `folder` by its path there, but for links and the manifest."""
    return {
        path.relative_to(folder).as_posix(): Output(path.stat().st_size, sha256_of(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and path != folder / MANIFEST
    }


def write_manifest(folder: Path) -> None:
    """List the files of `folder` in its outputs.json; raises KitError where the disk refuses."""
    files = {name: asdict(output) for name, output in files_of(folder).items()}
    write_json(folder / MANIFEST, {"schema": SCHEMA, "files": files})


def read_manifest(path: Path) -> dict[str, Output]:
    """Return the outputs that a manifest lists, by name; raises InputInvalid where it cannot be read."""
    try:
        return TypeAdapter(dict[str, Output]).validate_python(read_json(path).get("files"))
    except ValidationError:
        raise InputInvalid(f"{path} is no list of outputs", hint="make pull") from None
