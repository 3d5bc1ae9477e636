"""Watching shows every line once and ends as the session did."""

import json
from dataclasses import replace

import pytest
from kaggle_fixtures import USER
from makers import MakeRun
from quick_clock import QuickClock

from kit.errors import NotYet
from kit.remote.following import watch
from kit.remote.following.screen import RunFailed, Screen, last_words
from kit.remote.wire.client import Client
from local_kaggle import faults
from local_kaggle.faults import NAMED, Fault
from local_kaggle.server import Server
from local_kaggle.sessions import RUNNER_LINES

COUNTING = """
import sys, time
for number in range(12):
    sys.stdout.write(f"li"); sys.stdout.flush(); time.sleep(0.01)
    sys.stdout.write(f"ne {number} टिबिनि\\n"); sys.stdout.flush()
    print(f"note {number}", file=sys.stderr)
sys.stdout.write("the last without an end")
"""
LINES = [f"line {number} टिबिनि" for number in range(12)] + ["the last without an end"]
NOTES = [f"note {number}" for number in range(12)]

RANKS = '''
import sys
print("""[rank0]: Traceback (most recent call last):
[rank0]:   File "train.py", line 3, in step
[rank0]:     raise ValueError("first")
[rank0]: ValueError: first
[rank1]: Traceback (most recent call last):
[rank1]:   File "train.py", line 9, in step
[rank1]:     loss.backward()
[rank1]: torch.OutOfMemoryError: CUDA out of memory
[rank0]: Traceback (most recent call last):
[rank0]:   File "train.py", line 7, in step
[rank0]: RuntimeError: last of rank 0""", file=sys.stderr)
raise RuntimeError("ChildFailedError")
'''
ALL_RANKS = [
    *("rank0", "RuntimeError: last of rank 0", "rank1", "torch.OutOfMemoryError: CUDA out of memory"),
    *("main process", "RuntimeError: ChildFailedError"),
]


class Told:
    """Collects lines by stream."""

    def __init__(self) -> None:
        self.by_stream: dict[str, list[str]] = {"stdout": [], "stderr": []}

    def __call__(self, stream: str, line: str) -> None:
        self.by_stream[stream].append(line)


FAULTS = {
    "none": Fault("none"),
    "cut": Fault("GetKernelSessionLogsStream", 4, cut_after_events=3),
    "always cut": Fault("GetKernelSessionLogsStream", 99, cut_after_events=5),
    "reset": Fault("GetKernelSessionLogsStream", 99, drop="before"),
    "no stream": faults.status("GetKernelSessionLogsStream", 404, times=99),
    "500": faults.status("GetKernelSessionLogsStream", 500, times=99),
    "page": faults.html("GetKernelSessionLogsStream", times=99),
    "status 503": faults.status("GetKernelSessionStatus", 503, times=3),
    "status {}": faults.answer("GetKernelSessionStatus", {}, times=3),
    "status page": faults.html("GetKernelSessionStatus", times=3),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_every_line_is_told_once_and_in_order(
    kaggle: Server, client: Client, push: MakeRun, fault: Fault
) -> None:
    """Chunks are joined to lines and replayed ones dropped; without a stream the stored log is read.

    Coming late shows the same lines.
    """
    kaggle.faults.arm(fault)
    run, told, late = push(COUNTING), Told(), Told()
    status = watch.watch(client, run, 1e6, told)
    assert told.by_stream == {"stdout": LINES, "stderr": [*NOTES, *RUNNER_LINES.splitlines()]}
    assert status.name == "COMPLETE"
    watch.watch(client, run, 600, late)
    assert late.by_stream == told.by_stream


def test_the_version_is_watched_and_not_the_newest(client: Client, finished: MakeRun, push: MakeRun) -> None:
    """A later push of the same kernel changes neither the log nor the verdict of an earlier one."""
    first, told = finished("print('first')"), Told()
    push("raise SystemExit('second')")
    assert watch.watch(client, first, 600, told).has_succeeded
    assert told.by_stream["stdout"] == ["first"]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("raise SystemExit('injected failure')", ["the last lines of the log", "injected failure"]),
        ("raise KeyError('x')", ["main process", "KeyError: 'x'"]),
        (RANKS, ALL_RANKS),
    ],
    ids=["message", "traceback", "ranks"],
)
def test_a_failed_run_holds_what_every_rank_died_of(
    client: Client, push: MakeRun, script: str, said: list[str]
) -> None:
    """The launcher's own error hides no rank's."""
    with pytest.raises(RunFailed, match="ended as ERROR: Your notebook failed") as caught:
        watch.watch(client, push(script), 600, Told())
    words = [word.strip("- ") for word in caught.value.last_words]
    assert [word for word in words if word in said] == said
    assert words[-1] == said[-1]


def test_a_chain_of_exceptions_is_one_traceback() -> None:
    """The last traceback of a rank includes what was being handled; an earlier, finished one is left out."""
    log = """Traceback (most recent call last):
  File "a.py", line 1, in <module>
ValueError: survived
fine so far
[card 1] Traceback (most recent call last):
[card 1]   File "b.py", line 2, in <module>
[card 1] KeyError: 'cause'
[card 1]
[card 1] During handling of the above exception, another exception occurred:
[card 1]
[card 1] Traceback (most recent call last):
[card 1]   File "b.py", line 4, in <module>
[card 1]     raise OSError
[card 1]     ^^^^^^^^^^^^^
[card 1] OSError: effect
Traceback (most recent call last):
  File "a.py", line 9, in <module>
KitError: the end"""
    lines = log.splitlines()
    chained = [line.removeprefix("[card 1]").removeprefix(" ") for line in lines[4:15]]
    assert last_words(lines) == ["--- card 1 ---", *chained, "--- main process ---", *lines[15:]]


def test_a_cancelled_session_is_a_failed_one(kaggle: Server, client: Client, push: MakeRun) -> None:
    """Cancelled is an end, not something to wait for."""
    kaggle.faults.arm(NAMED["cancelled"])
    with pytest.raises(RunFailed, match="ended as CANCELLED"):
        watch.watch(client, push(), 600, Told())


@pytest.mark.parametrize(
    ("url", "goes_on", "hint"),
    [
        ("http://127.0.0.1:1", "it ends with the Kaggle on this machine", "make rehearse TIMEOUT=7200"),
        ("https://www.kaggle.com", "the run goes on", "make watch RUN="),
    ],
)
def test_watching_ends_at_its_deadline(
    kaggle: Server, client: Client, finished: MakeRun, url: str, goes_on: str, hint: str
) -> None:
    """A rehearsal ends with its Kaggle; a run on Kaggle goes on, and the line says how to come back."""
    kaggle.faults.arm(NAMED["never-ends"])
    with pytest.raises(NotYet, match=f"still RUNNING after 60 s; {goes_on}") as caught:
        watch.watch(client, replace(finished("print()"), url=url), 60, Told())
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize(
    ("fault", "script"),
    [
        (NAMED["never-ends"], """print('{"event": "end", "ended": "complete"}')"""),
        (faults.amend("GetKernelSessionStatus", {"status": "CANCEL_REQUESTED"}, times=9999), "print()"),
        (faults.amend("GetKernelSessionStatus", {"status": "NEW_SCRIPT"}, times=9999), "print()"),
    ],
    ids=["after its own end", "cancel requested", "never started"],
)
def test_a_stuck_session_is_told_apart_from_a_long_one(
    kaggle: Server, client: Client, finished: MakeRun, clock: QuickClock, fault: Fault, script: str
) -> None:
    """Five minutes in a state that should pass are enough, however long the deadline."""
    kaggle.faults.arm(fault)
    with pytest.raises(NotYet, match="is stuck") as caught:
        watch.watch(client, finished(script), 1e6, Told())
    assert "make stop" in caught.value.hint
    assert 300 <= sum(clock.slept) < 400


def test_silence_of_kaggle_is_borne_for_a_while(
    kaggle: Server, client: Client, finished: MakeRun, clock: QuickClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After too long without any answer the watching ends, not the run."""
    monkeypatch.setattr(watch, "SILENCE_SECONDS", 60.0)
    run = finished("print()")
    kaggle.faults.arm(Fault("*", 99_999, drop="before"))
    clock.slept.clear()
    with pytest.raises(NotYet, match=r"no word from Kaggle for .* broke the connection.*it ends with"):
        watch.watch(client, run, 1e6, Told())
    assert 60 < sum(clock.slept) < 200


def test_a_deleted_run_is_one_line(client: Client, finished: MakeRun) -> None:
    """A version that is gone may only be hidden for a while: it is waited for some minutes, not for hours."""
    run = finished("print()")
    client.call("DeleteKernel", user_name=USER, kernel_slug=run.slug)
    with pytest.raises(NotYet, match=r"no word from Kaggle for 9\d\d s .*403: Permission"):
        watch.watch(client, run, 1e6, Told())


def test_a_plain_screen_prints_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal each line is printed, an event as a sentence, stderr where it belongs."""
    with Screen(is_terminal=False) as screen:
        screen.on_line(
            "stdout", '{"event": "step", "step": 3, "steps": 70, "loss": 0.5, "seconds_left": 300}'
        )
        screen.on_line("stderr", "a warning")
        screen.on_line("stdout", '{"event": "step"}')
    captured = capsys.readouterr()
    assert captured.out == 'step 3/70  loss 0.5000  5 min left\n{"event": "step"}\n'
    assert captured.err == "a warning\n"


def test_a_plain_screen_shows_a_count_a_tenth_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    """A log file gets a dozen lines of a long training and not thousands; each member counts for itself."""
    with Screen(is_terminal=False) as screen:
        for step in range(1, 196):
            for member in (42, 43):
                told = {"event": "step", "member": member, "step": step, "steps": 195, "loss": 0.5}
                screen.on_line("stdout", json.dumps(told))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 22
    assert lines[0].startswith("step 1/195")
    assert lines[-1] == "step 195/195  loss 0.5000  member 43"


def test_a_terminal_gets_a_bar_for_each_member(capsys: pytest.CaptureFixture[str]) -> None:
    """Events that count move a bar; everything else is printed above, markup untouched."""
    told = {"event": "step", "step": 70, "steps": 70, "loss": 0.25, "tokens_per_second": 1234.5}
    with Screen(is_terminal=True) as screen:
        for member in (42, 43):
            screen.on_line("stdout", json.dumps(told | {"member": member, "memory_bytes": 7920000000}))
        screen.on_line("stdout", "[rank0]: plain [bold]line[/bold]")
    shown = capsys.readouterr().out
    assert "[rank0]: plain [bold]line[/bold]" in shown
    for member in (42, 43):
        assert f"step 70/70  loss 0.2500  member {member}  1,234 tokens/s  7.9 GB" in shown
