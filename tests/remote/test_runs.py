"""Every pushed version keeps a folder that can be found again by the names a user knows."""

from pathlib import Path

import pytest
from recorded_run import record

from kit.errors import InputInvalid
from kit.files import write_json
from kit.outputs import DRY_RUN, MADE
from kit.remote import runs
from kit.remote.runs import Run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Runs a/v1, a/v3 and b/v3; latest is a/v3."""
    root = tmp_path / "runs"
    for slug, version in (("a", 1), ("b", 3), ("a", 3)):
        run = Run(
            root, "me", slug, version, f"https://x/{slug}", f"hash-{slug}-{version}", {"preset": "tiny"}
        )
        record(root, run)
    return root


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("latest", "a/v3"),
        ("runs/latest", "a/v3"),
        ("v3", "a/v3"),
        ("v1", "a/v1"),
        ("b/v3", "b/v3"),
        ("runs/b/v3/", "b/v3"),
    ],
)
def test_a_run_is_found_by_its_names(root: Path, name: str, found: str) -> None:
    """latest, a version of the latest slug, slug and version, or a folder; a label pins the version."""
    slug, _, version = found.partition("/")
    for one in (runs.find(name, root), runs.find(str(root / found), root)):
        assert one.name == found
        assert one.pinned == {"user_name": "me", "kernel_slug": slug, "version_label": version}


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"owner": "me"}'])
def test_a_damaged_record_is_one_line(root: Path, text: str) -> None:
    """The file is named, and the hint takes it out of the way of every verb."""
    (root / "a" / "v3" / "push.json").write_text(text)
    with pytest.raises(InputInvalid, match=r"push\.json cannot be read") as caught:
        runs.find("latest", root)
    _, folder, aside = caught.value.hint.partition(",")[0].split(" ")
    Path(folder).rename(aside)
    assert len(list(runs.newest_first(root))) == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("v9", "there is a/v1, a/v3, b/v3.*make runs"),
        ("c/v1", "there is a/v1, a/v3, b/v3.*make runs"),
        ("nonsense", "no run 'nonsense'"),
        ("v3", "There is a/v3, b/v3"),
        ("latest", "there is a/v1, a/v3, b/v3"),
    ],
)
def test_an_unknown_run_names_those_there_are(root: Path, name: str, message: str) -> None:
    """Where latest does not decide, the user does."""
    (root / "latest").unlink()
    with pytest.raises(InputInvalid, match=message):
        runs.find(name, root)


def test_what_was_made_at_home_is_named_too(root: Path) -> None:
    """A blend for every verb, a dry run for those that read one; of many runs only the newest."""
    for name, mark in (("blend-a", MADE), ("dry-run/tiny-1", DRY_RUN)):
        write_json(root / name / mark, {})
    with pytest.raises(InputInvalid, match=r"a/v1, a/v3, b/v3, runs/blend-a \(try: make runs"):
        runs.find("dry-run/nope", root)
    with pytest.raises(InputInvalid, match="dry-run/tiny-1"):
        runs.find("dry-run/nope", root, dry=True)
    for version in range(20):
        write_json(root / "many" / f"v{version}" / "push.json", {})
    with pytest.raises(InputInvalid, match="and 12 older"):
        runs.find("nope", root)
