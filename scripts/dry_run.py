"""Run the bundle on this machine as Kaggle would: one read-only script, mounted inputs, no network."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from kit.command import alone, options, run
from kit.files import PROJECT_ROOT

STEP_SECONDS = 2.0
"""Between two steps that are shown; the log keeps each."""

if TYPE_CHECKING:
    from kit.bundle.build import Built
    from kit.config import Config
    from local_kaggle.sandbox import Mount


def main() -> int:
    """Build, run and judge; return 1 where the run fails or its submission is invalid."""
    parser = options(__doc__, "preset", "set", "timeout", "note", preset="tiny", timeout=3600.0)
    parser.add_argument(
        "--data", type=Path, help="folder with train.csv and test.csv, instead of the usual one"
    )
    parser.add_argument("--layout", choices=("2026", "old"), default="2026", help="Kaggle's mount layout")
    arguments = parser.parse_args()
    with alone("dry-run"):
        return _dry_run(arguments)


def _dry_run(arguments: argparse.Namespace) -> int:
    from kit import config
    from kit.bundle import build
    from kit.fetch import inputs
    from local_kaggle import following, sandbox

    resolved = config.resolve(arguments.preset, arguments.set)
    data = arguments.data or inputs.competition_folder(resolved)
    model = inputs.model_folder(resolved)
    built = build.build(resolved)
    mounted = inputs.stage(data, built.folder / "competition")
    mounts = [sandbox.Mount("competitions", resolved.competition.slug, mounted)]
    if model is not None:
        mounts.append(sandbox.Mount("models", resolved.model.name, model))
    folder = _folder(resolved, built, arguments.note)
    print(f"running {built.script.relative_to(PROJECT_ROOT)} ({len(built.bundle.text.encode()):,} bytes)")
    started = time.monotonic()
    root = built.folder / "dry-run"
    status, explained = _run(built.bundle.text, root, mounts, arguments, folder)
    if (working := root / "kaggle" / "working").is_dir():
        shutil.copytree(working, folder, dirs_exist_ok=True)
    print(f"its files are in {folder.relative_to(PROJECT_ROOT)}, after {time.monotonic() - started:.1f} s")
    if status == 0:
        return _judge(resolved, data, folder)
    if not explained:
        stopped = status == following.TIMED_OUT
        how = f"was stopped after {arguments.timeout:.0f} s" if stopped else f"ended with status {status}"
        print(f"error: the run {how} (try: the lines above, or a larger TIMEOUT)", file=sys.stderr)
    return 1


def _folder(config: Config, built: Built, note: str) -> Path:
    """Make the run's folder, the next of its preset's, and write there what is run and why."""
    from kit.bundle import origin
    from kit.files import write_json
    from kit.outputs import DRY_RUN, SCHEMA

    root = PROJECT_ROOT / "runs" / "dry-run"
    taken = [path.name.rpartition("-")[2] for path in root.glob(f"{config.preset}-*")]
    number = 1 + max((int(last) for last in taken if last.isdecimal()), default=0)
    folder = root / f"{config.preset}-{number}"
    commit, dirty = origin.commit()
    told = {
        "schema": SCHEMA,
        "commit": commit,
        "dirty": dirty,
        "sha256": built.bundle.sha256,
        "note": note,
        "pushed_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": config.model_dump(mode="json"),
    }
    write_json(folder / DRY_RUN, told)
    origin.keep(folder, built.script.name, built.bundle.text)
    return folder


def _run(
    script: str, root: Path, mounts: list[Mount], arguments: argparse.Namespace, folder: Path
) -> tuple[int, bool]:
    """Run the script, print and keep what it says; return its status and whether it said what was wrong."""
    from kit import progress
    from kit.outputs import LOG_NAME
    from local_kaggle import sandbox

    lines = progress.Lines()
    said: list[str] = []
    shown = -STEP_SECONDS

    def say(stream: str, whole: list[str]) -> None:
        nonlocal shown
        for line in whole:
            said.append(line)
            print(line, file=log, flush=True)
            step = progress.event(line) or {}
            if step.get("event") == "step" and step.get("step") != step.get("steps"):
                if time.monotonic() - shown < STEP_SECONDS:
                    continue
                shown = time.monotonic()
            print(progress.show(line), file=sys.stderr if stream == "stderr" else sys.stdout, flush=True)

    with (folder / LOG_NAME).open("w", encoding="utf-8", errors="replace") as log:
        status = sandbox.run(
            script,
            root,
            mounts,
            layout=arguments.layout,
            child_env={"KIT_INPUT_DIR": "{input}", "KIT_WORKING_DIR": "{working}"},
            timeout_seconds=arguments.timeout,
            on_output=lambda stream, _seconds, chunk: say(stream, lines.feed(stream, chunk)),
        )
        say("stdout", lines.end())
    return status, any(line.startswith("error: ") for line in said)


def _judge(resolved: Config, data: Path, folder: Path) -> int:
    """Validate the submission and, where the solution is known, score it."""
    from kit.review import baselines, tables
    from kit.review.checks.validate import lines, validate

    tables.show_sweep(folder)
    verdict = validate(folder, lambda _: [data], resolved.competition)
    print("\n".join(lines(verdict)), flush=True)
    if verdict.valid and (data / "solution.csv").is_file():
        baselines.show(data, folder / "submission.csv", resolved.competition)
    print(f"next: make report RUN={folder.relative_to(PROJECT_ROOT / 'runs')}")
    return 0 if verdict.valid else 1


if __name__ == "__main__":
    run(main)
