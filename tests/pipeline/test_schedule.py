"""One process a card, each with its own surroundings; each may fail alone, and none outlives its parent."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from waiting import has_ended, wait_for

from kit.errors import KitError
from kit.pipeline import crew, schedule

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


def _run(job: Path, *code: str, **options: Any) -> None:
    job.write_text(json.dumps({"code": code}))
    schedule.run(job, len(code), on_cards=True, module="stand_in_member", **options)


def _failures(job: Path, *code: str, **options: Any) -> dict[int, str]:
    """Run processes for themselves; return the reason of each slot that failed, and stop there."""
    reasons: dict[int, str] = {}

    def go_on(slot: int, error: KitError) -> bool:
        reasons[slot] = str(error)
        return False

    _run(job, *code, go_on=go_on, **options)
    return reasons


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


def test_a_process_that_fails_leaves_the_others_alone(job: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its slot and how it ended are named, its traceback is on stderr, the other goes to its end."""
    reasons = _failures(job, "time.sleep(2); print('done')", "raise RuntimeError('card fell off')")
    assert reasons == {1: "the process of slot 1 ended with status 1 (try: its lines above)"}
    out, err = capfd.readouterr()
    assert "[card 0] done" in out
    assert "RuntimeError: card fell off" in err


def test_another_process_takes_the_place_of_one_that_died_where_that_helps(job: Path) -> None:
    """As long as it is asked for."""
    code = (
        "count = open(sys.argv[1] + '.n', 'a+'); count.write('x'); count.flush(); count.seek(0); "
        "os.kill(os.getpid(), 9) if len(count.read()) < 3 else None"
    )
    seen = []

    def go_on(slot: int, error: KitError) -> bool:
        seen.append((slot, "SIGKILL" in str(error)))
        return True

    _run(job, code, go_on=go_on)
    assert seen == [(0, True)] * 2


def test_ranks_end_together_with_the_reason_of_the_first(job: Path) -> None:
    """Without its gradients the others would wait for ever."""
    with pytest.raises(KitError, match="slot 1 ended with status 1"):
        _run(job, "time.sleep(60)", "time.sleep(0.5); sys.exit(1)", together=True)
    assert has_ended(int((job.parent / "pid-0").read_text()))


def test_a_reason_that_a_member_left_is_what_the_user_reads(job: Path) -> None:
    """One line with the next command, not a status."""
    code = (
        "from kit.errors import KitError; from kit.pipeline import schedule; from pathlib import Path; "
        "schedule.leave_reason(Path(sys.argv[1]), slot, KitError('row 7 is odd', hint='mend it')); "
        "sys.exit(1)"
    )
    assert _failures(job, code) == {0: "row 7 is odd (try: mend it)"}


def test_a_process_that_says_nothing_is_stopped_and_one_that_talks_is_not(job: Path) -> None:
    """It hangs, in an import or in a driver."""
    talks = "[(print(n), time.sleep(0.5)) for n in range(14)]"
    assert list(_failures(job, "time.sleep(60)", talks, silence_seconds=5.0)) == [0]


def test_what_is_late_is_asked_to_leave_and_then_killed(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it does not listen; nothing is begun after the time."""
    monkeypatch.setattr(schedule, "CHECKPOINT_SECONDS", 1.0)
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    reasons: list[str] = []
    _run(
        job, "time.sleep(60)", deaf,
        deadline=time.monotonic() + 2, go_on=lambda _, error: not reasons.append(str(error)),
    )  # fmt: skip
    assert len(reasons) == 2
    assert all(schedule.TIME_LIMIT in reason for reason in reasons)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_one_that_started_it(job: Path, how: signal.Signals) -> None:
    """Kaggle ends a session with SIGTERM; a parent that is killed takes its children along."""
    job.write_text(json.dumps({"code": ["time.sleep(60)"] * 2}))
    code = (
        "from pathlib import Path; from kit.pipeline import schedule; "
        f"schedule.run(Path({str(job)!r}), 2, on_cards=False, module='stand_in_member')"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    pids = [job.parent / f"pid-{slot}" for slot in (0, 1)]
    assert wait_for(lambda: all(path.exists() and path.read_text() for path in pids))
    parent.send_signal(how)
    assert parent.wait(60) == (128 + how if how == signal.SIGTERM else -how)
    assert wait_for(lambda: all(has_ended(int(path.read_text())) for path in pids))


def test_a_signal_that_a_library_swallows_still_ends_the_run(job: Path) -> None:
    """An exception that is raised in a destructor is only printed."""
    job.write_text(json.dumps({"code": ["time.sleep(60)"]}))
    code = f"""
import os, signal
from pathlib import Path
from kit.pipeline import crew, schedule
class Swallows:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
signal.signal(signal.SIGTERM, schedule.leave)
Swallows()
schedule.run(Path({str(job)!r}), 1, on_cards=False, module='stand_in_member')
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert "SystemExit: 143" in ended.stderr, "the exception was not swallowed, so this proves nothing"
    assert ended.returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize(
    ("left", "has_begun", "reason", "lost"),
    [
        ("abc", True, "status 1", "a"),
        ("abc", False, "status 1", "abc"),
        ("bc", False, "status 1", "bc"),
        ("bc", True, schedule.TIME_LIMIT, "b"),
        ("bc", False, schedule.TIME_LIMIT, ""),
        ("abc", False, schedule.TIME_LIMIT, "abc"),
    ],
)
def test_what_the_end_of_a_process_costs(left: str, has_begun: bool, reason: str, lost: str) -> None:
    """The member that was on, or all where loading failed; none that the clock let it skip."""
    assert crew.members_lost(list("abc"), list(left), has_begun, KitError(reason)) == list(lost)
