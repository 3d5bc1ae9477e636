"""Run the bundle on this machine as Kaggle would: one read-only script, mounted inputs, no network."""

from __future__ import annotations

import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from kit.command import Arguments, alone, verb
from kit.files import PROJECT_ROOT, write_json

if TYPE_CHECKING:
    from kit.bundle.build import Built
    from kit.config import Config


def _folder(config: Config, built: Built, note: str) -> Path:
    """Make the run's folder, the next of its preset's, and write there what is run and why."""
    from kit.bundle import origin
    from kit.outputs import DRY_RUN, SCHEMA

    root = PROJECT_ROOT / "runs" / "dry-run"
    taken = [path.name.rpartition("-")[2] for path in root.glob(f"{config.preset}-*")]
    folder = root / f"{config.preset}-{1 + max((int(last) for last in taken if last.isdecimal()), default=0)}"
    commit, dirty = origin.commit()
    told = {"schema": SCHEMA, "commit": commit, "dirty": dirty, "sha256": built.bundle.sha256, "note": note}
    told["pushed_at"] = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(folder / DRY_RUN, told | {"config": config.model_dump(mode="json")})
    origin.keep(folder, built.script.name, built.bundle.text)
    return folder


def _judge(config: Config, data: Path, folder: Path) -> int:
    """Show the points of a sweep, validate the submission and, where the solution is known, score it."""
    from kit.review import baselines, tables
    from kit.review.checks.validate import validate

    tables.show_sweep(folder)
    verdict = validate(folder, lambda _: [data], config.competition)
    print(verdict, flush=True)
    if verdict.valid and (data / "solution.csv").is_file():
        baselines.show(data, folder / "submission.csv", config.competition)
    print(f"next: make report RUN={folder.relative_to(PROJECT_ROOT / 'runs')}")
    return 0 if verdict.valid else 1


def _run(config: Config, arguments: Arguments) -> int:
    from kit.bundle import build
    from kit.fetch import inputs
    from kit.outputs import LOG_NAME
    from kit.progress import Lines
    from kit.remote.following.screen import Screen
    from local_kaggle import following, sandbox

    data = arguments.data or inputs.competition_folder(config)
    model = inputs.model_folder(config)
    built = build.build(config)
    mounted = inputs.stage(data, built.folder / "competition")
    mounts = [sandbox.Mount("competitions", config.competition.slug, mounted)]
    mounts += [sandbox.Mount("models", config.model.name, model)] if model else []
    folder = _folder(config, built, arguments.note)
    print(f"running {built.script.relative_to(PROJECT_ROOT)} ({len(built.bundle.text.encode()):,} bytes)")
    started, root, lines = time.monotonic(), built.folder / "dry-run", Lines()
    said: list[str] = []

    def say(stream: str, whole: list[str]) -> None:
        for line in whole:
            print(line, file=log, flush=True)
            screen.on_line(stream, line)
        said.extend(whole)

    with Screen() as screen, (folder / LOG_NAME).open("w", encoding="utf-8", errors="replace") as log:
        status = sandbox.run(
            built.bundle.text,
            root,
            mounts,
            child_env={"KIT_INPUT_DIR": "{input}", "KIT_WORKING_DIR": "{working}"},
            timeout_seconds=arguments.timeout,
            on_output=lambda stream, _, chunk: say(stream, lines.feed(stream, chunk)),
        )
        say("stdout", lines.end())
    if (working := root / "kaggle" / "working").is_dir():
        shutil.copytree(working, folder, dirs_exist_ok=True)
    print(f"its files are in {folder.relative_to(PROJECT_ROOT)}, after {time.monotonic() - started:.1f} s")
    if status == 0:
        return _judge(config, data, folder)
    if not any(line.startswith("error: ") for line in said):
        stopped = status == following.TIMED_OUT
        how = f"was stopped after {arguments.timeout:.0f} s" if stopped else f"ended with status {status}"
        print(f"error: the run {how} (try: the lines above, or a larger TIMEOUT)", file=sys.stderr)
    return 1


@verb("preset", "set", "timeout", "note", "data", preset="tiny", timeout=3600.0)
def main(arguments: Arguments) -> int:
    from kit import config

    with alone("dry-run"):
        return _run(config.resolve(arguments.preset, arguments.set), arguments)
