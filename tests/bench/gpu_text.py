"""Train one setting after another on real text, many at once on the cards of one machine; keep each answer.

    python tests/bench/gpu_text.py pack FOLDER         at home, behind `gpu_run.py pack FOLDER`
    python tests/bench/gpu_text.py text FOLDER TARGET  there, behind `gpu_run.py join`; again to wait on
    python tests/bench/gpu_text.py table FOUND         at home: the tables of what came back

Each point trains from the same rows and is judged on the same held-out rows. A run cut short leaves the
points that had ended: `text` starts what is not started and writes what is there, as often as it is called.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gpu_run

WAIT_SECONDS = float(os.environ.get("GPU_WAIT", "520"))
ONLY = [name for name in os.environ.get("GPU_ONLY", "").split(";") if name]
"""SmolLM2's points to run, by name, at home and there alike; without it all of both models."""
CORPUS_ROWS = 4000
SEEDS = (1, 2, 3)
BASE = "train.gradient_accumulation=1 train.learning_rate=5e-4"
REFERENCE = (
    "prompt.style=notebook train.prompt_loss_weight=1.0 lora.rslora=true train.learning_rate=3e-4 "
    "train.gradient_accumulation=4"
)
POINTS = {
    "ours": "",
    "reference": REFERENCE,
    "reference, 2 epochs": f"{REFERENCE} train.epochs=2",
    "2 bins a step": "train.gradient_accumulation=2",
    "4 bins a step": "train.gradient_accumulation=4",
    "7 bins a step": "train.gradient_accumulation=7",
    "rate 1e-4": "train.learning_rate=1e-4",
    "rate 2e-4": "train.learning_rate=2e-4",
    "rate 8e-4": "train.learning_rate=8e-4",
    "alpha 32": "lora.alpha=32",
    "rsLoRA": "lora.rslora=true",
    "notebook prompt": "prompt.style=notebook",
    "language named": "prompt.language=true",
    "prompt loss 0.1": "train.prompt_loss_weight=0.1",
    "prompt loss 1": "train.prompt_loss_weight=1.0",
    "1 epoch": "train.epochs=1",
    "2 epochs": "train.epochs=2",
    "4 epochs": "train.epochs=4",
    "two templates": 'predict.templates=["notebook"]',
    "constant rate": "train.schedule=constant",
}
GEMMA_POINTS = (
    "ours", "reference", "reference, 2 epochs", "rate 2e-4", "4 bins a step", "1 epoch", "language named",
    "prompt loss 1", "two templates",
)  # fmt: skip
SHARED = (
    "model.loader=plain", "run.cards=1", "train.pack_tokens=2048", "model.max_row_tokens=2048",
    "evaluate.holdout=0.3", "data.test_rows=16", "train.checkpoint_minutes=0",
)  # fmt: skip
GEMMA = (
    "model.name=kit/gemma/transformers/default/1", "model.architecture=Gemma3ForCausalLM",
    "model.layers=18", "model.width=640", "model.instruct=false", "model.dtype=bfloat16",
)  # fmt: skip
UPPER_HALF = json.dumps(gpu_run.modules(range(15, 30))).replace(" ", "")
UNTRAINED = "train.epochs=0"


def scripts() -> dict[str, tuple[list[str], list[str]]]:
    """Return each script's settings and its points; the telling points come first in every script."""
    small = ["model.dtype=float16"]
    found = {}
    for seed in SEEDS:
        for part in range(4):
            names: Sequence[str] = (ONLY or [*POINTS])[part::4]
            found[f"smol-{seed}-{part}"] = (small, [_point(POINTS[name], seed) for name in names])
        for part in range(0 if ONLY else 2):
            names = GEMMA_POINTS[part::2]
            found[f"gemma-{seed}-{part}"] = (list(GEMMA), [_point(POINTS[name], seed) for name in names])
    if ONLY:
        return found
    found["smol-untrained"] = (small, [_point(UNTRAINED, 1)])
    found["gemma-untrained"] = (list(GEMMA), [_point(UNTRAINED, 1)])
    found["smol-upper"] = ([*small, f"lora.modules={UPPER_HALF}"], [_point("", seed) for seed in SEEDS])
    return found


def _point(changed: str, seed: int) -> str:
    values = dict(part.split("=", 1) for part in f"{BASE} {changed}".split())
    return " ".join(f"{name}={value}" for name, value in {**values, "seed": str(seed)}.items())


def pack(folder: Path) -> None:
    """Put the corpus and the scripts into the third part, Gemma's weights into parts of their own."""
    from kit import config
    from kit.bundle import build
    from kit.fetch import corpus

    corpus.TRAIN_ROWS = CORPUS_ROWS
    made = folder / "corpus"
    corpus.make(made, force=True)
    shutil.rmtree(folder / "third" / "competition")
    made.rename(folder / "third" / "competition")
    for name, (settings, points) in scripts().items():
        overrides = [*SHARED, *settings, f"run.grid={json.dumps(points)}"]
        script = build.build(config.resolve("small", overrides)).script
        shutil.copy(script, folder / "third" / f"kernel-{name}.py")


def text(folder: Path, target: Path) -> Iterator[tuple[str, str]]:
    """Start every script that is not started, spread over the cards, and write what has been answered."""
    del folder
    import torch

    gpu_run.mount(target)
    place = target / "input" / "models" / "kit" / "gemma" / "transformers" / "default" / "1"
    if (target / "gemma").is_dir() and not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target / "gemma")
    cards = torch.cuda.device_count()
    for number, name in enumerate(scripts()):
        working = target / f"text-{name}"
        if working.exists():
            continue
        environment = gpu_run.environment_of_kernel(target, working)
        environment |= {"CUDA_VISIBLE_DEVICES": str(number % cards), "OMP_NUM_THREADS": "1"}
        with (working / "log").open("w") as log:
            subprocess.Popen(
                gpu_run.command(target, f"kernel-{name}.py"),
                env=environment, cwd=working, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
    wanted = sum(len(points) for _, points in scripts().values())
    until = time.monotonic() + WAIT_SECONDS
    while _harvest(target) < wanted and time.monotonic() < until:
        time.sleep(1)
    yield "points answered", f"{_harvest(target)} of {wanted}"
    for name in scripts():
        log = (target / f"text-{name}" / "log").read_text(encoding="utf-8", errors="replace").splitlines()
        yield name, (log or ["nothing yet"])[-1][-200:]


def _harvest(target: Path) -> int:
    """Keep every point that has ended, in $OUT/points.zip, and return how many there are.

    A copy is taken as soon as a point's answers are there: a run that ends removes them.
    """
    kept = target / "points"
    kept.mkdir(exist_ok=True)
    for name in scripts():
        for path in (target / f"text-{name}" / "members").glob("*/answers.json"):
            copy = kept / name / f"{path.parent.name}.json"
            copy.parent.mkdir(parents=True, exist_ok=True)
            if not copy.exists():
                shutil.copy(path, copy)
    shutil.copy(target / "competition" / "train.csv", kept)
    shutil.make_archive(str(Path(os.environ.get("OUT", target)) / "points"), "zip", kept)
    return len(list(kept.glob("*/*.json")))


def table(found: Path) -> Iterator[tuple[str, str]]:
    """Print macro F1 and log loss of every setting: each seed, their mean, their average, by language."""
    import io

    import numpy
    from sklearn.metrics import f1_score, log_loss

    with zipfile.ZipFile(found) as bundle:
        import csv

        rows = {row["ID"]: row for row in csv.DictReader(io.StringIO(bundle.read("train.csv").decode()))}
        told: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for name in sorted(bundle.namelist()):
            if name.endswith(".json"):
                script = name.split("/")[0]
                answers = json.loads(bundle.read(name))["answers"]
                kind = "-".join([script.split("-")[0], *(["upper"] if "upper" in script else [])])
                settings = " ".join(p for p in answers["settings"].split() if not p.startswith("seed="))
                told.setdefault((kind, settings), []).append(answers)
    titles = {_point(changed, 0).removesuffix(" seed=0"): name for name, changed in POINTS.items()}
    titles[_point(UNTRAINED, 0).removesuffix(" seed=0")] = "untrained"
    for (kind, settings), points in told.items():
        keys = sorted(key for key in points[0]["probabilities"] if key.startswith("train/"))
        truth = numpy.array([rows[key.removeprefix("train/")]["label"] == "Positive" for key in keys])
        language = numpy.array([rows[key.removeprefix("train/")]["language"] for key in keys])
        each = numpy.array([[point["probabilities"][key][0] for key in keys] for point in points])

        def figures(positive: Any, truth: Any = truth) -> tuple[float, float]:
            return f1_score(truth, positive > 0.5, average="macro"), log_loss(truth, positive)

        singles = [figures(one) for one in each]
        together = figures(each.mean(axis=0))
        by_language = {
            str(code): round(float(numpy.mean([
                f1_score(truth[language == code], one[language == code] > 0.5, average="macro")
                for one in each
            ])), 3)
            for code in numpy.unique(language)
        }  # fmt: skip
        yield (
            f"{kind}: {titles.get(settings, settings)}",
            json.dumps(
                {
                    "macro F1": round(float(numpy.mean([one[0] for one in singles])), 4),
                    "log loss": round(float(numpy.mean([one[1] for one in singles])), 4),
                    "seeds": [[round(value, 3) for value in one] for one in singles],
                    "averaged": [round(value, 4) for value in together],
                    "steps": points[0]["trained"]["steps"],
                    "tokens": points[0]["trained"]["tokens"],
                    "rows": len(keys),
                    "languages": by_language,
                }
            ),
        )


if __name__ == "__main__":
    if sys.argv[1] == "table":
        for line in table(Path(sys.argv[2])):
            print(f"{line[0]:36} {line[1]}")
    else:
        gpu_run.main(globals())
