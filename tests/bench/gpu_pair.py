"""Check and time two cards of one machine against one; the parts are carried and joined by gpu_run.py.

    python tests/bench/gpu_pair.py pack FOLDER        at home, behind `gpu_run.py pack FOLDER`
    python tests/bench/gpu_pair.py pair FOLDER TARGET  there, behind the three `gpu_run.py join`

One card, a member on each, and one member on both (DDP), each through a built script as Kaggle runs it:
first SmolLM2-135M on the sample, then the shape of Llama 3.1 8B. Scaling counts the tokens a second that
all cards train, and the rows a second that they answer.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gpu_run

WAYS = {
    "one card": ("run.cards=1", "run.members=1"),
    "a member on each": ("run.cards=2", "run.members=2"),
    "one member on both": ("run.cards=2", "run.members=1"),
}
SHAPES = {
    "small": ("small", ("model.loader=unsloth", *gpu_run.SETTINGS)),
    "8b": (
        "t4x2",
        (
            "model.name=kit/large/transformers/default/1", "model.instruct=false", "model.dtype=float16",
            "run.memory_gib=14.5", "train.max_steps=12", "train.gradient_accumulation=2",
            "competition.slug=long-rows", "competition.id=id", "competition.text=text",
            "competition.label=label", "competition.language=",
        ),
    ),
}  # fmt: skip
TRAIN_ROWS, TEST_ROWS = 300, 1000


def pack(folder: Path) -> None:
    """Add a built script for every shape and way to the third part."""
    from kit import config
    from kit.bundle import build

    for shape, (preset, settings) in SHAPES.items():
        for way, cards in WAYS.items():
            made = build.build(config.resolve(preset, [*settings, *cards]))
            shutil.copy(made.script, folder / "third" / _script_name(shape, way))


def pair(folder: Path, target: Path) -> Iterator[tuple[str, str]]:
    """Run every way on both shapes; yield the lines of the table."""
    del folder
    gpu_run.mount(target)
    for shape in SHAPES:
        if shape == "8b":
            gpu_run.case(
                target, "long_rows", folder=str(target / "input" / "competitions" / "long-rows"),
                vocabulary=str(target / "vocabulary"), train=TRAIN_ROWS, test=TEST_ROWS,
            )  # fmt: skip
        runs = {way: _run(target, shape, way) for way in WAYS}
        for way, run in runs.items():
            yield f"{shape}, {way}", json.dumps(run["told"])
        one = runs["one card"]
        for way in list(WAYS)[1:]:
            if one["told"]["status"] or runs[way]["told"]["status"]:
                continue
            for name in ("tokens_per_second", "rows_per_second"):
                ratio = runs[way]["told"][name] / one["told"][name]
                yield f"{shape}, {way}: {name}, scaling", f"{ratio:.2f}"
        if not any(runs[way]["told"]["status"] for way in ("one card", "one member on both")):
            yield gpu_run.labels(
                f"{shape}, one member on both against one card",
                one["probabilities"],
                runs["one member on both"]["probabilities"],
            )


def _run(target: Path, shape: str, way: str) -> dict[str, Any]:
    working = target / f"pair-{shape}-{way.replace(' ', '-')}"
    status = subprocess.run(
        gpu_run.command(target, _script_name(shape, way)),
        env=gpu_run.environment_of_kernel(target, working), check=False, cwd=working,
    ).returncode  # fmt: skip
    if status:
        return {"told": {"status": status}, "probabilities": {}}
    record = json.loads((working / "run.json").read_text(encoding="utf-8"))
    rows = gpu_run.csv_rows(working / "predictions.csv")
    timings, members = record["timings"], record["members"]
    ranks = record.get("ranks", 1)
    answered = len(rows) + record["train_rows"]["held_out"]
    told = {
        "status": 0,
        "ranks": ranks,
        "notes": record.get("notes", []),
        "tokens_per_second": sum(member["train_tokens"] for member in members) / timings["train"],
        # Members answer all rows each, ranks a part: what counts is how many answers left the machine.
        "rows_per_second": answered * len(members) / timings["predict"],
        "peak_gib": [round(member["peak_memory_bytes"] / 2**30, 2) for member in members],
        "timings": timings,
    }
    return {"told": told, "probabilities": {row["id"]: [float(row["probability_Positive"])] for row in rows}}


def _script_name(shape: str, way: str) -> str:
    return f"kernel-{shape}-{way.replace(' ', '-')}.py"


if __name__ == "__main__":
    gpu_run.main(globals())
