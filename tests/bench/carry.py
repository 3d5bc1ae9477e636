"""Time our own work on long logs and on many outputs, which must grow with them and no faster.

Prints seconds of one core beside the aim; nothing is sent anywhere.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from kit import outputs
from kit.files import write_json
from kit.remote.following import watch
from kit.remote.following.screen import Screen
from kit.remote.pulling import naming, pull
from kit.remote.runs import Run
from kit.remote.wire import log, session
from kit.remote.wire.client import Clock

AIM_SECONDS = 1.0
FILES = 20_000
UPDATES = 40_000


class _Kaggle:
    """Answers from memory as the client would."""

    clock = Clock()

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files

    def explained(self, _: str) -> nullcontext[None]:
        return nullcontext()

    def patiently(self, attempt: Callable[[], Any]) -> Any:
        return attempt()

    def call(self, *_: Any, **__: Any) -> Any:
        return SimpleNamespace(status=SimpleNamespace(name="COMPLETE"), failure_message="")

    def pages(self, *_: Any, **__: Any) -> list[Any]:
        files = [SimpleNamespace(file_name=name, url=name) for name in self._files]
        return [SimpleNamespace(files=files, log='[{"stream_name": "stdout", "data": "hello\\n"}]')]

    def link(self, _: str, url: str, **__: Any) -> Any:
        return _answer(self._files[url])


def _answer(body: bytes, kind: str = "application/octet-stream") -> Any:
    raw = io.BytesIO(body)
    reader = SimpleNamespace(read1=lambda size, **_: raw.read(size))
    headers = {"Content-Type": kind, "Content-Length": str(len(body))}
    return SimpleNamespace(raw=reader, headers=headers, status_code=200, close=lambda: None)


def _frames(text: str, size: int) -> Iterator[str]:
    for start in range(0, len(text), size):
        yield f"data: {json.dumps({'stream_name': 'stdout', 'data': text[start : start + size]})}\n\n"
    yield "data: END_OF_LOG\n\n"


def _follow(text: str, size: int, *, is_terminal: bool) -> float:
    """Return the seconds that a log takes, sent in chunks of `size`, from the wire to the screen."""
    client: Any = _Kaggle({})
    answer = _answer("".join(_frames(text, size)).encode(), "text/event-stream")
    begun = time.process_time()
    with redirect_stdout(io.StringIO()), Screen(is_terminal=is_terminal) as screen:
        seen = watch._Log(screen.on_line, screen.on_update)
        assert seen._take(log.live(client, answer), lambda: False)
    return time.process_time() - begun


def _pull(root: Path) -> tuple[float, float]:
    """Return the seconds that many outputs take to be listed, named and found again, and to be written."""
    made = root / "made"
    for number in range(FILES):
        path = made / f"folder-{number % 100}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(number))
    write_json(made / "run.json", {"bundle_hash": "a", "ended": "complete"})
    outputs.write_manifest(made)
    listed = {path.relative_to(made).as_posix(): path for path in made.rglob("*") if path.is_file()}
    client: Any = _Kaggle({name: path.read_bytes() for name, path in listed.items()})
    run = Run(root / "runs" / "slug" / "v1", "owner", "slug", 1, "", "a", {})
    run.folder.mkdir(parents=True)
    moments = [os.times().user]
    pull.pull(client, run, tell=lambda _: None)
    moments.append(os.times().user)
    pull.pull(client, run, tell=lambda _: None)
    found = session.outputs(client, run)
    naming.places(found.links, listed)
    moments.append(os.times().user)
    return moments[2] - moments[1], moments[1] - moments[0]


def main() -> None:
    """Print one line a figure, with its aim."""
    event = json.dumps({"event": "sweep", "points": 1, "best": "x" * 1_000_000}) + "\n"
    bar = "".join(f"\r{number}/{UPDATES}" for number in range(UPDATES)) + "\n"
    figures = {
        "one event of 1 MB, in one frame": _follow(event, len(event), is_terminal=False),
        "the same in frames of 100 letters": _follow(event, 100, is_terminal=True),
        f"{UPDATES:,} updates of a bar": _follow(bar, 8, is_terminal=True),
        "the same without a terminal": _follow(bar, 8, is_terminal=False),
    }
    with tempfile.TemporaryDirectory() as name:
        figures[f"{FILES:,} outputs, listed and named"], written = _pull(Path(name))
    for what, seconds in figures.items():
        print(f"{what:<34}  {seconds:5.2f} s     aim {AIM_SECONDS} s")
    print(f"{'the same written and proved':<34}  {written:5.2f} s")
    if "--check" in sys.argv and max(figures.values()) > AIM_SECONDS:
        sys.exit(1)


if __name__ == "__main__":
    main()
