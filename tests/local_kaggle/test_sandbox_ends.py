"""However a script in the sandbox ends, its status and its words are kept and nothing is left running."""

from __future__ import annotations

import textwrap
import threading
import uuid
from pathlib import Path

import pytest
from sandbox_run import run
from sdk_client import left

from local_kaggle import following


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("", 0),
        ("raise SystemExit(3)", 3),
        ("raise ValueError", 1),
        ("import os; os.kill(os.getpid(), 9)", -9),
        ("this is no Python", 1),
    ],
)
def test_the_exit_status_is_the_scripts(tmp_path: Path, script: str, expected: int) -> None:
    """Nothing between the script and its caller swallows it; a signal is negative."""
    assert run(tmp_path, script)[0] == expected


LEAVES_CHILDREN = """
    import subprocess, sys, time
    for session in (False, True):
        stays = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
        child = subprocess.Popen([sys.executable, "-c", stays, "MARK"], env={}, start_new_session=session)
        print(child.pid, flush=True)
"""


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        ("", 0),
        ("time.sleep(600)", following.TIMED_OUT),
        ("import signal; signal.signal(15, signal.SIG_IGN); time.sleep(600)", following.TIMED_OUT),
    ],
    ids=["ends", "late", "stubborn"],
)
def test_no_process_outlives_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, expected: int
) -> None:
    """Children that ignore SIGTERM or left for a session of their own are killed too."""
    monkeypatch.setattr(following, "GRACE_SECONDS", 0.3)
    mark = f"{tmp_path.name}-{uuid.uuid4().hex}"
    script = textwrap.dedent(LEAVES_CHILDREN).replace("MARK", mark) + ending
    status, output = run(tmp_path, script, timeout_seconds=1.0)
    assert status == expected
    assert len(output.text().split()) == 2
    assert left(mark) == []


def test_sigterm_comes_first_and_its_last_words_are_kept(tmp_path: Path) -> None:
    """A script may save its state when its time is over."""
    script = """
        import signal, sys, time
        def save(*_):
            print("saved", flush=True)
            sys.exit(0)
        signal.signal(signal.SIGTERM, save)
        print("ready", flush=True)
        time.sleep(600)
    """
    status, output = run(tmp_path, script, timeout_seconds=1.0)
    assert status == following.TIMED_OUT
    assert output.text() == "ready\nsaved\n"


def test_setting_stop_ends_the_run(tmp_path: Path) -> None:
    """Another thread can end a session; the status is that of the signal."""
    stop = threading.Event()
    script = "import time; print('up', flush=True); time.sleep(600)"
    assert run(tmp_path, script, stop=stop, on_output=lambda *_: stop.set())[0] == -15


def test_ctrl_c_kills_the_script_and_is_passed_on(tmp_path: Path) -> None:
    """The caller sees its KeyboardInterrupt, and nothing is left behind."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, "import time; print('up', flush=True); time.sleep(600)", on_output=interrupt)
    assert left(str(tmp_path)) == []


def test_output_arrives_in_chunks_while_the_script_runs(tmp_path: Path) -> None:
    """Streams stay apart, times grow, and a character cut in two is one character."""
    script = """
        import sys, time
        sys.stdout.buffer.write("é".encode()[:1]); sys.stdout.flush(); time.sleep(0.2)
        sys.stdout.buffer.write("é".encode()[1:] + b"\\xff"); sys.stdout.flush(); time.sleep(0.2)
        print("err", file=sys.stderr, flush=True); time.sleep(0.2)
        print("end")
    """
    status, output = run(tmp_path, script)
    assert status == 0
    assert [(name, text) for name, _, text in output.chunks] == [
        ("stdout", "é\ufffd"),
        ("stderr", "err\n"),
        ("stdout", "end\n"),
    ]
    times = [seconds for _, seconds, _ in output.chunks]
    assert times == sorted(times)
    assert times[2] - times[0] > 0.3
