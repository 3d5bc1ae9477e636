"""A run that starts from an earlier one: its settings, what it attaches, and what it is called."""

from pathlib import Path

import pytest

from kit import config as settings
from kit.bundle import metadata
from kit.errors import InputInvalid
from kit.remote.pushing import resume
from kit.remote.runs import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A pulled run that the time limit stopped."""
    folder = tmp_path / "v3"
    (folder / "members").mkdir(parents=True)
    (folder / "run.json").write_text('{"ended": "complete"}')
    (folder / "pull.json").write_text('{"status": "COMPLETE"}')
    config = settings.resolve("t4x2", ["seed=5"]).model_dump(mode="json")
    return Run(folder, "me", "sentiment-t4x2", 3, "https://kaggle", "12e" + "4" * 61, config)


def test_resuming_keeps_the_settings_and_attaches_the_output(run: Run) -> None:
    """The hash says which output is meant; it is text even where it looks like a number."""
    config = resume.resume(run)
    assert config.seed == 5
    assert config.run.resume == run.bundle_hash
    assert config.kernel.kernel_sources == ("me/sentiment-t4x2",)
    # A kernel cannot attach itself, and what it goes on from must stay the newest output.
    assert metadata.slug(config).endswith("t4x2-resumed")
    assert resume.resume(run, dataset="me/saved").kernel.dataset_sources == ("me/saved",)


def test_answering_again_takes_other_settings(run: Run) -> None:
    """New templates or test rows for adapters that are there, under a slug of its own too."""
    config = resume.answer_from(run, ['predict.templates=["notebook"]'])
    assert metadata.slug(config).endswith("t4x2-again")
    assert config.run.adapters_from == run.bundle_hash
    assert config.run.resume == ""
    assert config.predict.templates == ("notebook",)


def test_a_run_with_nothing_left_to_do_is_not_resumed(run: Run) -> None:
    """The hint is the verb that does something with it."""
    (run.folder / "members").rmdir()
    with pytest.raises(InputInvalid, match="nothing to go on from") as caught:
        resume.resume(run)
    assert caught.value.hint is not None
    assert "FROM=sentiment-t4x2/v3" in caught.value.hint


def test_a_failed_run_is_resumed_through_a_dataset(run: Run) -> None:
    """The one that make adapters has made of what it left."""
    (run.folder / "pull.json").write_text('{"status": "ERROR"}')
    with pytest.raises(InputInvalid, match="finished runs only") as caught:
        resume.resume(run)
    assert caught.value.hint == "make adapters RUN=sentiment-t4x2/v3"
    (run.folder / "adapters.json").write_text('{"dataset": "me/left"}')
    assert resume.resume(run).kernel.dataset_sources == ("me/left",)
