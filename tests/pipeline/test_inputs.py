"""Where the pipeline finds the competition's files and the base model."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.errors import InputInvalid
from kit.pipeline.machine import inputs

HANDLE = "metaresearch/llama-3.1/transformers/8b-instruct/2"


def _touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path.parent


@pytest.mark.parametrize("layout", ["competitions/reviews", "reviews"])
def test_the_competition_is_found_in_both_mount_layouts(tmp_path: Path, layout: str) -> None:
    """The folder is found by its files, so the layout of the day does not matter."""
    folder = _touch(tmp_path / layout / "train.csv")
    (folder / "test.csv").touch()
    assert inputs.competition_folder(tmp_path, "reviews", wait_seconds=0) == folder


def test_the_named_competition_wins_over_another_dataset_with_the_same_files(tmp_path: Path) -> None:
    """An attached dataset may hold a train.csv of its own."""
    for name in ("a-dataset", "reviews"):
        folder = _touch(tmp_path / name / "train.csv")
        (folder / "test.csv").touch()
    assert inputs.competition_folder(tmp_path, "reviews", wait_seconds=0) == folder


def test_a_missing_competition_names_the_rules_page_and_shows_the_tree(tmp_path: Path) -> None:
    """Rules that were not accepted look like an empty mount."""
    _touch(tmp_path / "models" / "config.json")
    with pytest.raises(InputInvalid, match=r"models/config\.json") as caught:
        inputs.competition_folder(tmp_path, "reviews", wait_seconds=0)
    assert "kaggle.com/c/reviews/rules" in caught.value.hint


@pytest.mark.parametrize("layout", [f"models/{HANDLE}", HANDLE.partition("/")[2]])
def test_a_kaggle_model_is_found_in_both_mount_layouts(tmp_path: Path, layout: str) -> None:
    """The old layout drops the owner; a folder of another version is not taken for it."""
    _touch(tmp_path / "models" / HANDLE.replace("/2", "/1") / "config.json")
    folder = _touch(tmp_path / layout / "config.json")
    assert inputs.model_folder(tmp_path, HANDLE, wait_seconds=0) == folder


def test_a_missing_model_names_the_verb_that_makes_it(tmp_path: Path) -> None:
    """The tiny and the small model are made on this machine."""
    with pytest.raises(InputInvalid) as caught:
        inputs.model_folder(tmp_path, "kit/tiny/transformers/default/1", wait_seconds=0)
    assert caught.value.hint == "make tiny-model"


def test_a_linked_mount_is_searched_too(tmp_path: Path) -> None:
    """Mounts may be symbolic links."""
    real = _touch(tmp_path / "elsewhere" / "train.csv")
    (real / "test.csv").touch()
    root = tmp_path / "input"
    root.mkdir()
    (root / "reviews").symlink_to(real)
    assert inputs.competition_folder(root, "reviews", wait_seconds=0) == root / "reviews"


HUB = "unsloth/Meta-Llama-3.1-8B-Instruct-bnb-4bit"


@pytest.mark.parametrize("mount", ["notebooks/ada/reviews-prepare", "reviews-prepare"])
def test_an_attached_snapshot_is_found_by_its_marker_in_both_mount_layouts(
    tmp_path: Path, mount: str
) -> None:
    """With internet too: what is attached need not be downloaded. One of another name is left alone."""
    other = _touch(tmp_path / "another" / "model" / "config.json")
    inputs.mark_model(other, "unsloth/another")
    folder = _touch(tmp_path / mount / "model" / "config.json")
    inputs.mark_model(folder, HUB)
    assert inputs.model_folder(tmp_path, HUB, wait_seconds=0) == folder


@pytest.mark.train
def test_without_internet_a_model_that_is_not_attached_names_make_prepare(tmp_path: Path) -> None:
    """One line, and no attempt to reach anybody."""
    with pytest.raises(InputInvalid, match="no snapshot of model") as caught:
        inputs.model_folder(tmp_path, HUB, wait_seconds=0)
    assert caught.value.hint.startswith("make prepare")


@pytest.mark.parametrize(("name", "is_one"), [(HUB, True), (HANDLE, False)])
def test_a_name_of_hugging_face_has_two_parts(name: str, is_one: bool) -> None:
    """A Kaggle Model's handle has five."""
    assert inputs.is_on_hub(name) == is_one


def test_a_revision_is_the_commit_where_somebody_names_it_and_a_hash_of_the_files_elsewhere(
    tmp_path: Path,
) -> None:
    """In the cache of Hugging Face, in a prepared output, and of an attached Kaggle Model."""
    cached = _touch(tmp_path / "hub" / "models--ada--x" / "snapshots" / "abc123" / "config.json")
    assert inputs.revision(cached) == "abc123"
    folder = _touch(tmp_path / "model" / "config.json")
    (folder / "model.safetensors").write_bytes(b"one" * 9)
    unnamed = inputs.revision(folder)
    (folder / "model.safetensors").write_bytes(b"two" * 9)
    assert len(unnamed) == 64
    assert inputs.revision(folder) != unnamed
    beside = folder / ".cache" / "huggingface" / "download" / "config.json.metadata"
    _touch(beside)
    beside.write_text("def456\netag\n1.0\n")
    inputs.mark_model(folder, HUB)
    beside.unlink()
    assert inputs.revision(folder) == "def456"
