"""Scripts that stand for a kernel: they print and write files, and train nothing."""

from __future__ import annotations

GOOD_SCRIPT = """
import json, os, pathlib
working = pathlib.Path(os.environ["KIT_WORKING_DIR"])
print("hello")
(working / "run.json").write_text(json.dumps({"bundle_hash": "BUNDLE", "ended": "complete"}))
(working / "submission.csv").write_text("ID,label\\nt0,Positive\\nt1,Negative\\nt2,Positive\\nt3,Negative\\n")
(working / "adapter").mkdir()
(working / "adapter" / "weights.bin").write_bytes(bytes(range(256)) * 40)
print('{"event": "end", "ended": "complete"}')
"""
"""Leaves three files, 10,240 bytes in one of them; BUNDLE becomes the hash of its build."""
