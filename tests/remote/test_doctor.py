"""The preflight says of everything that can be seen whether it is fit, and only a fail keeps a push back."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kaggle_fixtures import SLUG, StartKaggle
from makers import Examine, MakeBuilt, MakeClient, MakeRun
from recorded_run import record

from kit import config as settings
from kit.bundle import pins
from kit.bundle.metadata import Metadata
from kit.config import Config
from kit.fetch.inputs import SAMPLE, SAMPLE_SLUG
from kit.remote import doctor, runs
from kit.remote.pushing.objections import Check
from kit.remote.runs import Run
from kit.remote.wire.client import Client
from kit.remote.wire.credentials import TOKEN_PAGE
from kit.task import effort
from local_kaggle import faults
from local_kaggle.faults import Fault
from local_kaggle.server import Server

GPU = {"enable_gpu": True, "machine_shape": "NvidiaTeslaT4"}
QUOTA = "GetAcceleratorQuotaStatistics"


@pytest.fixture
def gpu_config(config: Config) -> Config:
    return config.model_copy(
        update={"preset": "t4x2", "kernel": config.kernel.model_copy(update={"accelerator": "NvidiaTeslaT4"})}
    )


@pytest.fixture
def examine(client: Client, gpu_config: Config, make_built: MakeBuilt, runs_root: Path) -> Examine:
    """Return the checks of a GPU push by name."""

    def run(who: Client = client, script: str = "print()", **changes: Any) -> dict[str, Check]:
        built = make_built(gpu_config, script, **changes)
        return {check.name: check for check in doctor.examine(who, gpu_config, built, root=runs_root)}

    return run


def test_a_fit_push_passes_every_check(examine: Examine) -> None:
    """One line each; the smoke run that is missing is a warning."""
    checks = examine()
    assert {name: check.verdict for name, check in checks.items()} == {
        **dict.fromkeys(("slug", "size", "accelerator", "requirements", "disk", "credentials"), "pass"),
        **dict.fromkeys(("image", "quota", "sessions", "competition"), "pass"),
        "smoke": "warn",
    }
    assert checks["credentials"].text == "tester, by KAGGLE_USERNAME and KAGGLE_KEY"
    assert checks["quota"].text.startswith("30.0 of 30 GPU hours left, renewed on Sat ")
    assert "this run: 690 min (its time limit)" in checks["quota"].text
    assert all("\n" not in str(check) for check in checks.values())


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"gpu_seconds_used": 30 * 3600}, r"fail  quota +0\.0 of 30 GPU hours left"),
        ({"gpu_seconds_used": 29 * 3600}, r"warn  quota +1\.0 of 30 GPU hours left"),
        ({"joined": False}, rf"fail  competition .*/competitions/{SLUG}/rules"),
        ({"slug": "other"}, "fail  competition .*was not found"),
        ({"token": "other"}, "fail  credentials .*rejects the credentials of KAGGLE_USERNAME"),
    ],
)
def test_what_kaggle_knows_is_judged(
    start_kaggle: StartKaggle, make_client: MakeClient, examine: Examine, settings: dict[str, Any], line: str
) -> None:
    """Quota, rules and names, each with the next step."""
    checks = examine(make_client(start_kaggle(**settings)))
    assert [check for check in checks.values() if re.match(line, str(check))]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (faults.status("GetCompetition", 500, times=99), "Kaggle answers 500 to GetCompetition"),
        (faults.amend("GetCompetition", {"submissionsDisabled": True}), "takes no submissions any more"),
        (faults.amend("GetCompetition", {"deadline": "2020-01-01T00:00:00Z"}), "ended on 01 Jan 2020"),
        (faults.amend("GetCompetition", {"deadline": "2020-01-01T00:00:00+05:00"}), "ended on 01 Jan 2020"),
        (faults.amend("GetCompetition", {"isKernelsSubmissionsOnly": True}), "kit.toml says csv"),
        (faults.amend(QUOTA, {"gpuQuota": {"timeUsed": "5s"}}, times=9), "does not say"),
        (faults.answer(QUOTA, {}, times=99), "does not say how many"),
        (faults.status("*", 401, times=99), "rejects the credentials"),
    ],
)
def test_an_answer_that_says_little_is_no_pass(
    kaggle: Server, examine: Examine, fault: Fault, message: str
) -> None:
    """What could not be seen is shown as that, and the other checks go on."""
    kaggle.faults.arm(fault)
    odd = [str(check) for check in examine().values() if message in check.text]
    assert len(odd) >= 1
    assert not odd[0].startswith("pass")


@pytest.mark.parametrize(
    "variables", [{"KAGGLE_API_TOKEN": "wrong"}, {"KAGGLE_USERNAME": "", "KAGGLE_KEY": ""}]
)
def test_without_credentials_the_table_is_whole(
    examine: Examine, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    """Their own line fails and says where a token comes from; what needs them says that it was not seen."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    checks = examine().values()
    assert [check.name for check in checks if check.verdict == "fail"] == ["credentials"]
    assert TOKEN_PAGE in "".join(check.hint for check in checks)
    unseen = [check.name for check in checks if check.text == "not seen without credentials"]
    assert unseen == ["quota", "sessions", "competition", "source"]


def test_what_stands_in_the_build_is_judged(examine: Examine) -> None:
    """The gate of the push, one line each."""
    assert examine(title="Another Title")["slug"].verdict == "fail"
    assert examine(script="#" * (1 << 20) + "\n")["size"].verdict == "fail"
    assert examine(is_private=False)["private"].verdict == "warn"


def test_a_session_that_is_on_is_a_warning(
    client: Client, config: Config, make_built: MakeBuilt, push: MakeRun, runs_root: Path
) -> None:
    """A second push would start beside it and leave it running."""
    run = push("import time; time.sleep(60)")
    checks = {c.name: c for c in doctor.examine(client, config, make_built(config), root=runs_root)}
    assert checks["sessions"].verdict == "warn"
    assert f"make stop RUN={run.name}" in checks["sessions"].hint
    assert checks["quota"].text == "no GPU is asked for"


def test_a_kernel_to_attach_must_be_there(examine: Examine, finished: MakeRun) -> None:
    """Its own slug is looked up before a run starts without it."""
    assert examine(kernel_sources=["tester/absent"])["source"].verdict == "fail"
    run = finished()
    assert examine(kernel_sources=[f"tester/{run.slug}"])["source"].verdict == "pass"


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        (faults.answer("GetDatasetStatus", {"status": "READY"}), "pass"),
        (faults.answer("GetDatasetStatus", {"status": "REPROCESSING"}), "fail"),
        (faults.status("GetDatasetStatus", 404), "warn"),
    ],
)
def test_a_dataset_to_attach_must_be_ready(
    kaggle: Server, client: Client, monkeypatch: pytest.MonkeyPatch, fault: Fault, verdict: str
) -> None:
    """A kernel that starts while a new version is processed gets the older one."""
    kaggle.faults.arm(fault)
    monkeypatch.setattr(Client, "is_local", False)
    told = Metadata(id="tester/x", title="X", dataset_sources=["tester/rows"])
    assert [check.verdict for check in doctor.sources(client, told)] == [verdict]


def test_what_the_api_cannot_see_is_asked(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verified phone and an accepted licence have pages of their own; a rehearsal needs neither."""
    monkeypatch.setattr(Client, "is_local", False)
    monkeypatch.setattr(pins, "unresolved", lambda _: ("", ""))
    checks = examine(**GPU, model_sources=["meta/llama/transformers/8b/2"])
    assert {name: check.hint for name, check in checks.items() if check.verdict == "ask"} == {
        "phone": "https://www.kaggle.com/settings",
        "model": "https://www.kaggle.com/models/meta/llama",
    }


@pytest.mark.parametrize(
    ("preset", "status", "is_same", "verdict"),
    [
        ("smoke", "COMPLETE", True, None),
        ("smoke", "COMPLETE", False, "warn"),
        ("smoke", "ERROR", True, "warn"),
        ("t4x2", "COMPLETE", True, "warn"),
    ],
)
def test_a_full_push_asks_for_a_smoke_run_with_the_same_requirements(
    examine: Examine, runs_root: Path, preset: str, status: str, is_same: bool, verdict: str | None
) -> None:
    """A passed smoke run counts until kernel/requirements.txt changes."""
    sha256 = runs.requirements_sha256() if is_same else "0" * 64
    run = Run(runs_root, "me", "little-kernel-smoke", 1, "https://x", "0", {"preset": preset}, sha256)
    folder = record(runs_root, run).folder
    runs.write_json(folder / "pull.json", {"status": status})
    found = examine().get("smoke")
    assert (found.verdict if found else None) == verdict


def test_rows_that_stand_in_both_files_are_named(config: Config, tmp_path: Path) -> None:
    """With their share and one example; what is learned there says little of other rows."""
    (tmp_path / "train.csv").write_text("ID,sentence,label\n1,It works well.,Positive\n2,bad,Negative\n")
    (tmp_path / "test.csv").write_text("ID,sentence\n8,It works WELL\n7,nothing alike\n")
    *_, found = doctor.data(config, tmp_path, tmp_path)
    assert (found.name, found.verdict) == ("duplicates", "warn")
    assert found.text.startswith("1 of 2 test rows")
    assert found.text.endswith("'8' like '1'")


def test_the_expected_time_is_that_of_an_earlier_run(gpu_config: Config, runs_root: Path) -> None:
    """Once a preset has run, its own timings are the best guess."""
    run = Run(runs_root, "me", "little-kernel-t4x2", 3, "https://x", "0", {"preset": "t4x2"})
    folder = record(runs_root, run).folder
    told = {"ended": "complete", "config": {"preset": "t4x2"}, "timings": {"install": 60.0, "train": 1200.0}}
    runs.write_json(folder / "run.json", told)
    assert doctor.expected_minutes(gpu_config, runs_root) == (21.0, "as little-kernel-t4x2/v3 did")


def test_little_disk_is_a_warning(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The outputs need room at home."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10**8))
    assert examine()["disk"].verdict == "warn"


@pytest.mark.parametrize(("limit", "verdict"), [(690.0, "pass"), (3.0, "warn")])
def test_the_plan_of_a_training_is_one_line(tmp_path: Path, limit: float, verdict: str) -> None:
    """Rows, bins, steps and minutes, from the data at home; more than the time limit is a warning."""
    chosen = [f"competition.slug={SAMPLE_SLUG}", f"run.time_limit_minutes={limit}"]
    *_, check = doctor.data(settings.resolve("t4x2", chosen), SAMPLE, tmp_path)
    assert (check.name, check.verdict) == ("plan", verdict)
    assert re.match(r"\d+ rows in \d+ bins, \d+ steps .* min on two T4, a forecast", check.text)
    looked = doctor.data(settings.resolve("tiny", chosen), SAMPLE, tmp_path)
    assert [check.name for check in looked] == ["data", "duplicates"]


def test_the_plan_goes_by_the_pace_of_a_smoke_run(tmp_path: Path) -> None:
    """A card that learned half as fast as foretold takes twice the time; another model tells nothing."""
    config = settings.resolve("t4x2", [f"competition.slug={SAMPLE_SLUG}"])

    def minutes() -> float:
        *_, check = doctor.data(config, SAMPLE, tmp_path)
        return float(re.findall(r"about (\d+) min", check.text)[0])

    foretold = minutes()
    smoke = settings.resolve("smoke").model_dump(mode="json")
    run = Run(tmp_path, "me", "little-kernel-smoke", 2, "https://x", "0", smoke)
    folder = record(tmp_path, run).folder
    half = 1000 * effort.TRAIN_FLOP / (effort.T4_FLOPS / 2)
    members = [{"train_tokens": 1000, "timings": {"train": half}}] * 2
    runs.write_json(folder / "run.json", {"config": smoke, "members": members})
    begin = effort.BEGIN_SECONDS / 60
    assert minutes() - begin == pytest.approx(2 * (foretold - begin), abs=1.5)
    assert "at the pace of little-kernel-smoke/v2" in list(doctor.data(config, SAMPLE, tmp_path))[-1].text
    runs.write_json(
        folder / "run.json", {"config": {**smoke, "model": {"name": "other"}}, "members": members}
    )
    assert minutes() == foretold


def test_the_files_are_read_as_the_kernel_does(competition_folder: Path, config: Config) -> None:
    """One verdict: nothing there, rows left out, a sample that wants other values, a broken file."""

    def look(folder: Path = competition_folder, text: str = "sentence") -> Check:
        competition = config.competition.model_copy(update={"text": text})
        return next(doctor.data(config.model_copy(update={"competition": competition}), folder, folder))

    assert look() == Check("data", "pass", "6 training and 4 test rows, header ID,label")
    assert look(competition_folder / "none").verdict == "warn"
    said = look(text="ID")
    assert (said.verdict, said.text[:30]) == ("warn", "ID holds 6 texts in 6 rows, su")
    rows = "ID,sentence,label\n" + "".join(f"{n},x,Positive\nz{n},y,Negative\n" for n in range(4))
    for name, text, verdict, words in (
        ("train.csv", "ID,sentence,label\n1,x,Positive\n2,,Negative\n3,y,Negative\n", "warn", "1 blank text"),
        ("train.csv", "ID,sentence,label\n1,x,Positive\n1,y,Negative\n", "fail", "1 left out (1 doubled id)"),
        ("train.csv", rows, "warn", "sentence holds 2 texts in 8 rows"),
        ("sample_submission.csv", "ID,label\nt0,1\nt1,1\nt2,0\nt3,0\n", "fail", "holds '1', '0'"),
        ("train.csv", "ID,sentence,label\n1,x,Positive\n", "fail", "holds '1', '0'"),
        ("test.csv", "<html>", "fail", "not a csv but an HTML"),
    ):
        (competition_folder / name).write_text(text)
        said = look()
        assert said.verdict == verdict
        assert words in said.text
