"""Unpack the files below to a fresh private folder and become their entry."""

import json
import os
import subprocess
import sys
from hashlib import sha256


def manifest(files: dict[str, bytes], entry: str, source_root: str, config: object) -> dict[str, object]:
    hashes = {path: sha256(files[path]).hexdigest() for path in sorted(files)}
    digest = sha256(json.dumps([entry, config, hashes]).encode()).hexdigest()
    head = {"schema": 1, "bundle_hash": digest, "entry": entry, "source_root": source_root}
    return {**head, "config": config, "files": hashes}


def fresh_folder() -> str:
    # Where no other user may rename it: below what is ours or root's, and closed or sticky.
    for above in os.getenv("TMPDIR", ""), "/tmp", "/var/tmp", os.path.expanduser("~"):
        if os.access(above, os.W_OK | os.X_OK):
            is_ours, mode = os.stat(above).st_uid in (0, os.getuid()), os.stat(above).st_mode
            if is_ours and (mode & 0o1000 or not mode & 0o022):
                folder = f"{os.path.realpath(above)}/bundle-{os.urandom(8).hex()}"
                os.mkdir(folder, 0o700)
                return folder
    raise OSError("no private temporary folder: set TMPDIR")


def start(files: dict[str, bytes], config: bytes, entry: str, source_root: str) -> None:
    listing = json.dumps(manifest(files, entry, source_root, json.loads(config)), indent=1)
    if sys.argv[1:] == ["--manifest"]:
        print(listing)
        return
    folder = fresh_folder()
    for path, data in {**files, "bundle.json": listing.encode()}.items():
        name = f"{folder}/{path}".encode()
        os.makedirs(os.path.dirname(name), exist_ok=True)
        with open(name, "wb") as file:
            file.write(data)
    flags = subprocess._args_from_interpreter_flags() + ["-u"] * sys.stdout.write_through
    paths = f"{folder}/{source_root}", os.getenv("PYTHONPATH")
    os.environ["PYTHONPATH"] = ":".join(filter(None, paths))
    os.execv(sys.executable, [sys.executable, *flags, f"{folder}/{entry}", *sys.argv[1:]])
