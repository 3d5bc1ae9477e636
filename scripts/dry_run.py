"""Run the bundle on this machine as Kaggle would: one read-only script, mounted inputs, no network."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from kit.command import alone, options, run
from kit.config import PROJECT_ROOT

if TYPE_CHECKING:
    from kit.config import Config
    from local_kaggle.sandbox import Mount


def main() -> int:
    """Build, run and judge; return 1 where the run fails or its submission is invalid."""
    arguments = _arguments()
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
    print(f"running {built.script.relative_to(PROJECT_ROOT)} ({len(built.bundle.text.encode()):,} bytes)")
    started = time.monotonic()
    root = built.folder / "dry-run"
    status, explained = _run(built.bundle.text, root, mounts, arguments)
    if status == 0:
        print(f"the kernel took {time.monotonic() - started:.1f} s")
        return _judge(resolved, data, root / "kaggle" / "working")
    if not explained:
        stopped = status == following.TIMED_OUT
        how = f"was stopped after {arguments.timeout:.0f} s" if stopped else f"ended with status {status}"
        print(f"error: the run {how} (try: the lines above, or a larger TIMEOUT)", file=sys.stderr)
    return 1


def _arguments() -> argparse.Namespace:
    parser = options(__doc__, "preset", "set", "timeout", preset="tiny", timeout=3600.0)
    parser.add_argument(
        "--data", type=Path, help="folder with train.csv and test.csv, instead of the usual one"
    )
    parser.add_argument("--layout", choices=("2026", "old"), default="2026", help="Kaggle's mount layout")
    parser.add_argument("--network", action="store_true", help="let the script reach the network")
    return parser.parse_args()


def _run(script: str, root: Path, mounts: list[Mount], arguments: argparse.Namespace) -> tuple[int, bool]:
    """Run the script and print what it says; return its status and whether it said what was wrong."""
    from kit import progress
    from local_kaggle import sandbox

    lines = progress.Lines()
    explained = False

    def on_output(stream: str, _seconds: float, chunk: str) -> None:
        nonlocal explained
        for line in lines.feed(stream, chunk):
            explained = explained or line.startswith("error: ")
            print(progress.show(line), file=sys.stderr if stream == "stderr" else sys.stdout, flush=True)

    status = sandbox.run(
        script,
        root,
        mounts,
        layout=arguments.layout,
        child_env={"KIT_INPUT_DIR": "{input}", "KIT_WORKING_DIR": "{working}"},
        network=arguments.network,
        timeout_seconds=arguments.timeout,
        on_output=on_output,
    )
    for line in lines.end():
        print(line)
    return status, explained


def _judge(resolved: Config, data: Path, working: Path) -> int:
    """Keep the run's files, validate the submission and, where the solution is known, score it."""
    from kit.review import baselines, sweep
    from kit.review.checks.validate import lines, validate

    run_folder = PROJECT_ROOT / "runs" / f"dry-run-{resolved.preset}"
    shutil.rmtree(run_folder, ignore_errors=True)
    shutil.copytree(working, run_folder)
    print(f"its files are in {run_folder.relative_to(PROJECT_ROOT)}")
    sweep.show(run_folder)
    verdict = validate(run_folder, lambda _: [data], resolved.competition)
    print("\n".join(lines(verdict)), flush=True)
    if verdict.valid and (data / "solution.csv").is_file():
        baselines.show(data, run_folder / "submission.csv", resolved.competition)
    return 0 if verdict.valid else 1


if __name__ == "__main__":
    run(main)
