"""A log is shown whatever it holds, each line and each traceback once."""

import io
import json
import sys
import time
from contextlib import nullcontext
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kit import progress
from kit.remote.following import watch
from kit.remote.following.screen import RunFailed, Screen, last_words
from kit.remote.runs import Run
from kit.remote.wire import session
from kit.remote.wire.session import Status

ODD_LINES = [
    '{"event": []}', '{"event": "end"}', '{"event": "step", "step": "x"', '{"event":', '{"event": "train"}',
    '{"event": "step", "step": 1, "steps": 2, "loss": 1e999}', '{"event": "step", "step": NaN, "steps": 2}',
    '{"event": "step", "step": 1, "steps": 2, "loss": 1' + "0" * 400 + "}",
    '{"event": "step", "step": 1' + "0" * 5000 + "}", '{"event": "x", "a": ' + "[" * 200_000,
    '{"event": "score", "rows": 1' + "0" * 400 + ', "of": 1}', '{"event": "session", "id": "x"}',
    "\x1b[2J\x07\x9b31m", "half \ud83d", "\u202egpj.exe", "",
]  # fmt: skip


def _frames(chunks: list[str]) -> bytes:
    frames = [
        f": a comment\n\ndata: {json.dumps({'stream_name': 'stdout', 'data': text})}\n\n" for text in chunks
    ]
    return "".join([*frames, "data: END_OF_LOG\n\n"]).encode()


def _follow(body: bytes, piece: int) -> tuple[watch._Log, bool]:
    """Read a stream that arrives in pieces of this many bytes."""
    raw = io.BytesIO(body)
    answer: Any = SimpleNamespace(
        raw=SimpleNamespace(read1=lambda *_, **__: raw.read(piece)),
        headers={"Content-Type": "text/event-stream"},
    )
    client: Any = SimpleNamespace(explained=lambda _: nullcontext())
    seen = watch._Log(lambda *_: None, lambda *_: None)
    return seen, seen._take(session.live(client, answer), lambda: False)


@pytest.mark.parametrize(
    ("text", "size"),
    [("x" * 1_000_000 + "\n", 100), ("".join(f"\r{at}/20000" for at in range(20_000)) + "\n", 8)],
    ids=["a line", "a bar"],
)
def test_a_long_line_in_many_pieces_takes_little_time(text: str, size: int) -> None:
    """Time grows with the length and no faster."""
    body = _frames([text[start : start + size] for start in range(0, len(text), size)])
    started = time.process_time()
    assert _follow(body, 65_536)[1]
    assert time.process_time() - started < 20


@given(text=some.text(max_size=60), cuts=some.lists(some.integers(0, 120)), piece=some.integers(1, 30))
def test_a_stream_is_read_however_it_is_cut(text: str, cuts: list[int], piece: int) -> None:
    """Letters that are cut in two are joined again, and comments say nothing."""
    units = text.encode("utf-16-le")
    ends = sorted({0, len(text.encode("utf-16-le")) // 2, *(cut for cut in cuts if 2 * cut < len(units))})
    chunks = [
        units[2 * start : 2 * end].decode("utf-16-le", "surrogatepass") for start, end in pairwise(ends)
    ]
    seen, is_whole = _follow(_frames([*chunks, "\n"]), piece)
    assert is_whole
    assert seen.lines == [line.rstrip("\r").rpartition("\r")[2] for line in f"{text}\n".split("\n")[:-1]]


@given(
    entries=some.recursive(some.none() | some.booleans() | some.floats() | some.text(), some.lists)
    | some.text()
)
def test_a_stored_log_of_any_shape_is_text(entries: Any) -> None:
    """What is no list of chunks is shown as it is."""
    for stored in (
        json.dumps(entries),
        str(entries),
        json.dumps([{"data": entries, "stream_name": entries}]),
    ):
        session.whole(stored).encode()


@pytest.mark.parametrize("is_terminal", [True, False])
@pytest.mark.parametrize("line", ODD_LINES, ids=lambda line: ascii(line[:30]))
def test_an_odd_line_is_shown_and_obeyed_by_nobody(
    monkeypatch: pytest.MonkeyPatch, line: str, is_terminal: bool
) -> None:
    """Numbers beyond every bound, control characters, half letters: on a terminal that knows ASCII only."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", out)
    with Screen(is_terminal=is_terminal) as screen:
        screen.on_line("stdout", line)
        screen.on_update("stdout", line)
    shown = out.buffer.getvalue().decode()  # type: ignore[attr-defined]
    if not is_terminal:
        assert not any(character in shown for character in "\x1b\x07\x9b\u202e")
    assert shown.strip() or not line


def test_a_bar_of_the_run_is_one_line() -> None:
    """What stands after the last carriage return is the line; meanwhile it is an update."""
    lines = progress.Lines()
    updates = []
    for chunk in ("load", "ing\r", " 10%\r", " 55", "%", "\r100%", "\r\n", "next\r\n"):
        for line in lines.feed("stdout", chunk):
            updates.append(f"= {line}")
        if update := lines.update("stdout"):
            updates.append(update)
    assert updates == [" 10%", " 55", " 55%", "100%", "= 100%", "= next"]


_DIED = """step 1
Traceback (most recent call last):
  File "/tmp/bundle-0123456789abcdef/src/kit/pipeline/run.py", line 40, in main
    work()
  File "/usr/lib/python3.12/json/__init__.py", line 3, in loads
KeyError: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/var/tmp/deep/er/kernel/main.py", line 9, in <module>
ValueError: the end
after
/usr/local/lib/python3.12/dist-packages/mistune.py:435: SyntaxWarning: invalid escape sequence '\\|'
  cells[i][c] = re.sub('\\\\|', '|', cell)
[NbConvertApp] Converting notebook __script__.ipynb to html
[NbConvertApp] Writing 327412 bytes to __results__.html"""
DIED = _DIED.split("\n")


def test_a_traceback_is_shown_as_it_comes_and_at_the_end_with_the_repositorys_paths(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The end names the files that a person can open, once for each rank."""
    with Screen(is_terminal=False) as screen:
        for line in DIED:
            screen.on_line("stderr", line)
    assert capsys.readouterr().err.splitlines().count("ValueError: the end") == 1
    words = RunFailed(Run(tmp_path, "owner", "slug", 1, "", "", {}), Status("ERROR"), DIED).last_words
    assert words.count("ValueError: the end") == 1
    assert words.count('  File "src/kit/pipeline/run.py", line 40, in main') == 1
    assert words.count('  File "kernel/main.py", line 9, in <module>') == 1
    assert '  File "/usr/lib/python3.12/json/__init__.py", line 3, in loads' in words


NOISE = [
    "[NbConvertApp] Converting notebook __script__.ipynb to html",
    "/opt/mistune.py:435: SyntaxWarning: invalid escape sequence",
    "  cells[i][c] = re.sub('x', '|', cell)",
    "Failed to load CPU gemm_4bit_forward from kernels-community: No module named 'kernels'.",
    "E0000 00:00:1 cuda_fft.cc:467] Unable to register cuFFT factory: already registered",
    '{"event": "measure", "rows": 1, "of": 1}',
    '{"event": "train", "member": "seed-42", "rows": 2, "seconds_left": "odd"}',
]


def test_noise_is_left_out_of_what_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """What Kaggle and libraries add, and rows that are scored before training; a warning of ours stays."""
    ours = ["/x/src/kit/a.py:1: SyntaxWarning: ours", "  quoted", "Writing 3 bytes to x"]
    assert last_words([*ours, *DIED[-4:], *NOISE[:5]])[1:] == ours
    with Screen(is_terminal=False) as screen:
        for line in [*NOISE, *ours]:
            screen.on_line("stdout", line)
    assert capsys.readouterr().out.splitlines() == ["training member seed-42 on 2 rows", *ours]
