"""One process a card, each with its own surroundings; one that dies takes its siblings with it."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from kit.errors import KitError
from kit.pipeline import schedule

MEMBER = """
import json, os, sys, time
job = json.load(open(sys.argv[1])); slot = int(sys.argv[2])
open(os.path.join(os.path.dirname(sys.argv[1]), f"pid-{slot}"), "w").write(str(os.getpid()))
print('{"event": "x"}'); print("plain"); print("trouble", file=sys.stderr)
print(os.environ.get("CUDA_VISIBLE_DEVICES", "none"), os.environ["UNSLOTH_COMPILE_LOCATION"])
exec(job["code"][slot])
"""


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job file beside a stand-in member module that runs the code of its slot."""
    (tmp_path / "stand_in_member.py").write_text(MEMBER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path / "job.json"


def _run(job: Path, *code: str) -> None:
    job.write_text(json.dumps({"code": code}))
    schedule.run(job, len(code), on_cards=True, module="stand_in_member")


def test_every_process_has_its_own_card_cache_and_prefix(
    job: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Events pass unchanged for machines to read; other lines say which card they come from."""
    _run(job, "", "")
    out, err = capfd.readouterr()
    assert out.splitlines().count('{"event": "x"}') == 2
    for slot in (0, 1):
        assert f"[card {slot}] {slot} {job.parent}/cache-{slot}/unsloth" in out
        assert f"[card {slot}] trouble" in err


def test_a_failed_process_stops_its_sibling_at_once(job: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The failure names its slot, its traceback is on stderr, and nobody keeps burning quota."""
    started = time.monotonic()
    with pytest.raises(KitError, match="slot 1 ended with status 1"):
        _run(job, "time.sleep(60)", "time.sleep(0.5); raise RuntimeError('card fell off')")
    assert time.monotonic() - started < 20
    assert "RuntimeError: card fell off" in capfd.readouterr().err
    sibling = int((job.parent / "pid-0").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(sibling, 0)


def test_a_reason_that_a_member_left_is_what_the_user_reads(job: Path) -> None:
    """One line with the next command, not a status."""
    code = (
        "from kit.errors import KitError; from kit.pipeline import schedule; from pathlib import Path; "
        "schedule.leave_reason(Path(sys.argv[1]), slot, KitError('row 7 is odd', hint='mend it')); "
        "sys.exit(1)"
    )
    with pytest.raises(KitError, match="row 7 is odd") as caught:
        _run(job, code)
    assert caught.value.hint == "mend it"


def test_a_killed_process_is_reported_by_its_signal(job: Path) -> None:
    """Out of memory shows as SIGKILL."""
    with pytest.raises(KitError, match="SIGKILL"):
        _run(job, "os.kill(os.getpid(), 9)")


def test_sigterm_leaves_no_process_behind(job: Path) -> None:
    """Kaggle ends a session with SIGTERM."""
    import signal
    import subprocess

    job.write_text(json.dumps({"code": ["time.sleep(60)"]}))
    code = (
        "from pathlib import Path; from kit.pipeline import schedule; "
        f"schedule.run(Path({str(job)!r}), 1, on_cards=False, module='stand_in_member')"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    pid_file = job.parent / "pid-0"
    for _ in range(200):
        if pid_file.exists() and pid_file.read_text():
            break
        time.sleep(0.05)
    parent.send_signal(signal.SIGTERM)
    assert parent.wait(20) == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
