"""A run's adapters become a private dataset once, and a run without internet is made of it."""

from dataclasses import replace

import pytest
from kaggle_fixtures import USER

from kit import config as settings
from kit.config import Config
from kit.errors import KitError
from kit.remote import runs
from kit.remote.pushing import adapters, resume
from kit.remote.runs import Run
from kit.remote.wire.client import Client
from kit.remote.wire.transport import KaggleError
from local_kaggle import faults
from local_kaggle.faults import Fault
from local_kaggle.server import Server

GPU = 'kernel.accelerator="NvidiaTeslaT4"'


def test_adapters_travel_with_the_record_that_names_them(kaggle: Server, client: Client, pulled: Run) -> None:
    """In their folders, private, recorded in the run, and sent once."""
    handle = adapters.keep(client, pulled)
    folder = kaggle.state.root / "datasets" / handle
    sent = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert sent == {"run.json", "adapter/weights.bin"}
    told = runs.read_json(pulled.folder / "adapters.json")
    assert (told["dataset"], told["version"]) == (handle, 1)
    assert adapters.keep(client, pulled) == handle
    assert kaggle.requests.count("CreateDataset") == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault("CreateDataset", drop="after"),
        Fault("CreateDataset", drop="before"),
        Fault("upload", drop="before"),
        faults.status("upload", 503, times=2),
        faults.status("GetDatasetStatus", 403, times=3),
        faults.answer("ListDatasetFiles", {}, times=4),
    ],
    ids=["lost answer", "lost request", "cut", "busy", "late", "late list"],
)
def test_a_dataset_is_made_and_waited_for_whatever_happens(
    kaggle: Server, client: Client, pulled: Run, fault: Fault
) -> None:
    """A kernel would bind what is there at its push."""
    kaggle.faults.arm(fault)
    assert adapters.keep(client, replace(pulled, slug=f"{'a' * 37}-kernel")).startswith(
        f"{USER}/{'a' * 37}-v1-"
    )
    assert kaggle.faults.struck(fault)


def test_a_dataset_of_other_sizes_is_never_used(kaggle: Server, client: Client, pulled: Run) -> None:
    """After half an hour it is refused; nothing is recorded."""
    file = {"name": "weights.bin", "totalBytes": 7}
    kaggle.faults.arm(faults.answer("ListDatasetFiles", {"datasetFiles": [file]}, times=9999))
    with pytest.raises(KaggleError, match="does not list the files that were sent"):
        adapters.keep(client, pulled)
    assert not (pulled.folder / adapters.RECORD).exists()


def test_only_what_the_run_wrote_is_sent(kaggle: Server, client: Client, pulled: Run) -> None:
    """A changed file is refused before anything is sent."""
    (pulled.folder / "adapter" / "weights.bin").write_bytes(b"other")
    with pytest.raises(KitError, match=r"weights\.bin is not what the run wrote") as caught:
        adapters.keep(client, pulled)
    assert caught.value.hint == "make pull RUN=little-kernel-tiny/v1 FORCE=1"
    assert "StartBlobUpload" not in kaggle.requests


def test_a_killed_run_leaves_its_members(kaggle: Server, client: Client, pulled: Run) -> None:
    """Without its list of outputs they are taken as they came; RESUME attaches them."""
    (pulled.folder / "outputs.json").unlink()
    (pulled.folder / "pull.json").write_text('{"status": "ERROR"}')
    (pulled.folder / "members" / "seed-42").mkdir(parents=True)
    (pulled.folder / "members" / "seed-42" / "answers.json").write_text("{}")
    folder = kaggle.state.root / "datasets" / adapters.keep(client, pulled)
    assert sorted(path.name for path in folder.rglob("*.json")) == ["answers.json", "run.json"]
    assert resume.resume(pulled).kernel.dataset_sources == (f"{USER}/{folder.name}",)
    (pulled.folder / "run.json").unlink()  # it was killed before its last step
    with pytest.raises(KitError, match=r"left no run\.json"):
        adapters.keep(client, pulled)


def test_infer_is_the_same_run_without_internet(client: Client, pulled: Run) -> None:
    """Its adapters are attached, every test row is asked, and the host's time is kept."""
    with pytest.raises(KitError, match="in no dataset yet") as caught:
        resume.infer(pulled)
    assert caught.value.hint == "make adapters RUN=little-kernel-tiny/v1"
    handle = adapters.keep(client, pulled)
    made = resume.infer(pulled, ["competition.rerun_minutes=60", "data.test_rows=5", "kernel.internet=true"])
    assert (made.kernel.internet, made.kernel.dataset_sources) == (False, (handle,))
    assert (made.data.test_rows, made.run.adapters_from) == (0, pulled.bundle_hash)
    assert (made.competition.kind, made.run.time_limit_minutes) == ("code", 48.0)


def test_infer_on_a_gpu_attaches_what_prepare_left(config: Config, pulled: Run) -> None:
    """Packages and model come from its kernel, made for today's requirements, or it is named."""
    with pytest.raises(KitError, match="nothing holds the packages") as caught:
        resume.infer(pulled, [GPU], dataset="me/adapters")
    assert caught.value.hint == "make prepare PRESET=tiny"
    told = runs.read_json(pulled.folder / "push.json")
    prepared = pulled.folder.parents[1] / "little-kernel-prepare" / "v1"
    prepared.mkdir(parents=True)
    told |= {"slug": "little-kernel-prepare", "config": settings.override(config, []).model_dump(mode="json")}
    told["config"]["preset"] = "prepare"
    runs.write_json(prepared / "push.json", told)
    made = resume.infer(pulled, [GPU], dataset="me/adapters")
    assert made.kernel.kernel_sources == (f"{USER}/little-kernel-prepare",)
    assert resume.infer(pulled, dataset="me/adapters").kernel.kernel_sources == (), "nor needs the CPU any"
    runs.write_json(prepared / "pull.json", {"status": "ERROR"})
    with pytest.raises(KitError, match="nothing holds the packages"):
        resume.infer(pulled, [GPU], dataset="me/adapters")
