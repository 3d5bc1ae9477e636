"""Settings of a run that starts from an earlier one: goes on with its training, or only asks its adapters."""

import itertools
import json
from collections.abc import Sequence

from kit.bundle import metadata
from kit.config import Config, load, override
from kit.errors import InputInvalid
from kit.remote import runs
from kit.remote.pushing import adapters

RERUN_SPARE_MINUTES, RERUN_SPARE_PART = 15.0, 0.2
"""What a run leaves of the host's limit, to start, install and save: this, or this part of a short one."""


def resume(run: runs.Run, overrides: Sequence[str] = (), *, dataset: str = "") -> Config:
    """Return the settings of `run` going on where it stopped; a `dataset` may hold its output."""
    ended = runs.read_json(run.folder / "run.json").get("ended", "")
    if ended and not (run.folder / "members").is_dir():
        text = f"{run.name} ended as {ended!r} and left nothing to go on from"
        raise InputInvalid(text, hint=f"make push FROM={run.name}, which only answers")
    if not dataset and adapters.has_failed(run):
        dataset = adapters.kept(run, "failed, and Kaggle attaches the output of finished runs only")
    return _continued(run, "resume", overrides, dataset)


def answer_from(run: runs.Run, overrides: Sequence[str] = (), *, dataset: str = "") -> Config:
    """Return the settings of `run` asking its adapters again, with what `overrides` change."""
    return _continued(run, "adapters_from", overrides, dataset)


def infer(run: runs.Run, overrides: Sequence[str] = (), *, dataset: str = "") -> Config:
    """Return the settings of `run` answering for a code competition: no internet, within the host's time."""
    dataset = dataset or adapters.kept(run, "has its adapters in no dataset yet")
    config = answer_from(run, overrides, dataset=dataset)
    limit = config.competition.rerun_minutes
    limit -= min(RERUN_SPARE_MINUTES, RERUN_SPARE_PART * limit)
    needs = config.kernel.accelerator != "none"  # packages of a GPU, and a model that is no toy
    kernels = list(dict.fromkeys([*config.kernel.kernel_sources, *(_prepared(run) if needs else [])]))
    if needs and not kernels:
        text = "nothing holds the packages and the model of a run without internet"
        raise InputInvalid(text, hint=f"make prepare PRESET={config.preset}")
    settings: dict[str, object] = {
        "competition.kind": "code",
        "kernel.internet": False,
        "kernel.kernel_sources": kernels,
        "data.test_rows": 0,
        "run.time_limit_minutes": min(config.run.time_limit_minutes, limit),
    }
    return override(config, [f"{name}={json.dumps(value)}" for name, value in settings.items()])


def _prepared(run: runs.Run) -> list[str]:
    """Return the newest kernel that downloaded the packages of today's requirements, for attaching."""
    wanted = (metadata.PREPARE, runs.requirements_sha256())
    pushed = runs.newest_first(run.folder.parents[1])
    made = (one for one in pushed if not adapters.has_failed(one))
    fitting = (one for one in made if (one.config["preset"], one.requirements_sha256) == wanted)
    return [f"{newest.owner}/{newest.slug}" for newest in itertools.islice(fitting, 1)]


def _continued(run: runs.Run, how: str, overrides: Sequence[str], dataset: str) -> Config:
    """Attach the earlier output; the bundle_hash says which is meant, for Kaggle attaches the newest's."""
    config = load(run.config, where=f"{run.folder / 'push.json'}")
    section, own = ("dataset_sources", dataset) if dataset else ("kernel_sources", f"{run.owner}/{run.slug}")
    settings = {
        "run.resume": "",
        "run.adapters_from": "",
        f"run.{how}": run.bundle_hash,
        f"kernel.{section}": list(dict.fromkeys([*getattr(config.kernel, section), own])),
    }
    decided = [f"{name}={json.dumps(value)}" for name, value in settings.items()]
    return override(config, [*decided, *overrides])
