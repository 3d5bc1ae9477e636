"""The bundled script runs on this machine as it will on Kaggle, and refuses bad input in one line."""

from __future__ import annotations

import atexit
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import checkout
import pytest

from kit.fetch.inputs import SAMPLE

CHECKOUT = Path(tempfile.mkdtemp(prefix="kit-dry-run-"))
atexit.register(shutil.rmtree, CHECKOUT, ignore_errors=True)
pytestmark = [pytest.mark.slow, pytest.mark.train, pytest.mark.timeout(400)]


def _dry_run(*arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(CHECKOUT / "scripts" / "dry_run.py"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "src")}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )


@pytest.fixture(scope="module", autouse=True)
def _copied(tiny_model: Path) -> None:
    checkout.copy(CHECKOUT)


def _settings(*pairs: str) -> list[str]:
    return [part for pair in pairs for part in ("--set", pair)]


def _run_folder(preset: str) -> Path:
    """Return the newest: which tests ran here before is chance."""
    found = (CHECKOUT / "runs" / "dry-run").glob(f"{preset}-*")
    return max(found, key=lambda path: int(path.name.removeprefix(f"{preset}-")))


def test_the_dry_run_learns_the_sample_and_leaves_every_file_of_a_run(tiny_model: Path) -> None:
    """Every test id is answered, and far better than the majority class would."""
    ended = _dry_run("--note", "it's the first")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    folder = _run_folder("tiny")
    assert (folder / "kernel.py").read_bytes() == (CHECKOUT / "build" / "tiny" / "kernel.py").read_bytes()
    assert '{"event": "end"' in (folder / "kernel.log").read_text()
    assert json.loads((folder / "dry-run.json").read_text())["note"] == "it's the first"
    ids = [row["ID"] for row in csv.DictReader((SAMPLE / "test.csv").open(encoding="utf-8"))]
    answers = list(csv.DictReader((folder / "submission.csv").open(encoding="utf-8")))
    assert [row["ID"] for row in answers] == ids
    solution = {row["ID"]: row["label"] for row in csv.DictReader((SAMPLE / "solution.csv").open())}
    right = sum(solution[row["ID"]] == row["label"] for row in answers)
    assert right / len(ids) >= 0.65
    record = json.loads((folder / "run.json").read_text())
    assert record["ended"] == "complete"
    assert record["test_ids"] == ids
    assert record["loader"] == "plain"
    assert set(record["timings"]) == {"install", "download", "import", "load", "train", "predict"}
    metrics = json.loads((folder / "metrics.json").read_text())
    assert len(metrics["held_out"]["per_language"]) == 18
    assert sum(map(sum, metrics["held_out"]["confusion"])) == metrics["held_out"]["rows"]
    assert (folder / "adapter" / "adapter_model.safetensors").is_file()
    predictions = list(csv.DictReader((folder / "predictions.csv").open(encoding="utf-8")))
    for row in predictions:
        whole = float(row["probability_Positive"]) + float(row["probability_Negative"])
        assert whole == pytest.approx(1, abs=1e-5)


def test_the_reference_recipe_runs_its_own_way(tiny_model: Path) -> None:
    """Notebook prompt, loss on everything, answers written one by one; what is not parsed is scored."""
    tiny = ("model.name=kit/tiny/transformers/default/1",)
    ended = _dry_run(
        "--preset", "reference",
        *_settings(*tiny, "run.cards=0", "train.max_steps=2", "data.test_rows=12", "train.batch_size=1"),
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "partial_run" in ended.stdout
    predictions = list(csv.DictReader((_run_folder("reference") / "predictions.csv").open(encoding="utf-8")))
    assert len(predictions) == 12
    assert {row["source"] for row in predictions} <= {"parse", "score"}
    assert all("### Input" not in row["completion"] for row in predictions)
    record = json.loads((_run_folder("reference") / "run.json").read_text())
    assert record["share_of_train_seen"] == 1.0


def _drop_label_column(folder: Path) -> None:
    text = (folder / "train.csv").read_text(encoding="utf-8")
    (folder / "train.csv").write_text(text.replace("sentence,label", "sentence,lable", 1), encoding="utf-8")


def test_bad_input_is_one_line_and_leaves_no_submission(tiny_model: Path, tmp_path: Path) -> None:
    """What, where and the next command; no traceback; run.json says how it ended."""
    data = tmp_path / "data"
    shutil.copytree(SAMPLE, data)
    _drop_label_column(data)
    ended = _dry_run("--data", str(data))
    assert ended.returncode == 1
    errors = [line for line in ended.stderr.splitlines() if line.strip()]
    assert len(errors) == 1, ended.stderr
    assert errors[0].startswith("error: ")
    assert "'label'" in errors[0]
    assert "(try: " in errors[0]
    working = CHECKOUT / "build" / "tiny" / "dry-run" / "kaggle" / "working"
    assert sorted(path.name for path in working.iterdir()) == ["outputs.json", "run.json"]
    assert "failed" in json.loads((working / "run.json").read_text())["ended"]
    assert "'label'" in (_run_folder("tiny") / "kernel.log").read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--set", "model.name=kit/none/transformers/default/1"], "holds no model"),
        (["--data", "/nowhere"], "train.csv"),
        (["--set", "model.loader=unsloth"], "Unsloth needs a GPU"),
        (["--preset", "t4x2", "--set", "model.name=kit/tiny/transformers/default/1"], "needs 2 GPU"),
    ],
)
def test_what_cannot_run_is_refused_in_one_line(tiny_model: Path, arguments: list[str], says: str) -> None:
    """Before anything is trained."""
    ended = _dry_run(*arguments)
    assert ended.returncode == 1
    errors = [line for line in ended.stderr.splitlines() if line.strip()]
    assert len(errors) == 1, ended.stderr
    assert says in errors[0]


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs user namespaces")
@pytest.mark.parametrize(
    ("size", "status", "says"),
    [("16k", 1, "error: "), ("200k", 0, '"text": "the adapter of member seed-42 is not kept: ')],
)
def test_a_full_disk_leaves_nothing_half_written(
    tiny_model: Path, tmp_path: Path, size: str, status: int, says: str
) -> None:
    """Where the answers fit they are there without the adapter; else one line says what cannot be written."""
    from kit import config
    from kit.bundle import build

    built = build.build(config.resolve("tiny", ["train.max_steps=2"]), path=tmp_path / "kernel.py")
    working, inputs = tmp_path / "working", tmp_path / "input"
    working.mkdir()
    shutil.copytree(SAMPLE, inputs / "competitions" / "sample-sentiment")
    shutil.copytree(tiny_model, inputs / "models/kit/tiny/transformers/default/1")
    script = (
        f"mount -t tmpfs -o size={size} none {working} && cd {tmp_path} && "
        f"{sys.executable} {built.script}; status=$?; ls -R {working} > listing; exit $status"
    )
    ended = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(tmp_path), "TMPDIR": str(tmp_path),
             "KIT_INPUT_DIR": str(inputs), "KIT_WORKING_DIR": str(working)},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    if "unshare" in ended.stderr and "permitted" in ended.stderr:
        pytest.skip("user namespaces are not allowed here")
    assert ended.returncode == status, ended.stdout + ended.stderr
    assert says in ended.stdout + ended.stderr
    assert "No space left on device" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    left = (tmp_path / "listing").read_text().split()
    assert ("submission.csv" in left) is (status == 0)
    assert not [name for name in left if name.endswith(".part") or name == "adapter"]
