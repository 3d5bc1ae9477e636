"""Scripts that stand for a kernel: they print and write files, and train nothing."""

MANIFEST = """
import hashlib
names = [path for path in sorted(working.rglob("*")) if path.is_file()]
listed = {
    path.relative_to(working).as_posix(): {
        "bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()
    }
    for path in names
}
(working / "outputs.json").write_text(json.dumps({"schema": 1, "files": listed}))
print('{"event": "end", "ended": "complete"}')
"""
"""The end of a run, which lists its own outputs as its last file."""

FILES = """
import json, os, pathlib
working = pathlib.Path(os.environ["KIT_WORKING_DIR"])
print("hello")
(working / "run.json").write_text(json.dumps({"bundle_hash": "BUNDLE", "ended": "complete"}))
(working / "submission.csv").write_text("ID,label\\nt0,Positive\\nt1,Negative\\nt2,Positive\\nt3,Negative\\n")
(working / "adapter").mkdir()
(working / "adapter" / "weights.bin").write_bytes(bytes(range(256)) * 40)
"""
GOOD_SCRIPT = FILES + MANIFEST
"""Leaves four files, 10,240 bytes in one of them; BUNDLE becomes the hash of its build."""
