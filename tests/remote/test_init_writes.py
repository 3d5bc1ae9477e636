"""`make init` changes what describes the competition, and nothing else of the two files."""

import json
from pathlib import Path

import pytest
from slugify import slugify

from kit import config
from kit.bundle import metadata
from kit.errors import InputInvalid
from kit.remote.joining import init
from kit.remote.joining.init import Suggestion


def suggestion(slug: str, *labels: str) -> Suggestion:
    told = {"slug": slug, "id": "key", "text": "body", "label": "mood", "language": ""}
    return Suggestion({**told, "labels": labels})


def test_kit_toml_keeps_its_comments_and_presets(tmp_path: Path) -> None:
    """Only what describes the competition changes; synonyms of labels that are gone go with them."""
    path = tmp_path / "kit.toml"
    path.write_text(
        "# mine\n[competition]\nslug = 'old' # why\nlabels = ['A', 'Positive']\n"
        "[competition.synonyms]\nPositive = ['Pos']\nA = ['Ay']\n"
        "[kernel]\ntitle = 'Old'\ninternet = false\n[preset.mine]\nextends = 't4x2' # keep\n"
    )
    found = suggestion("new-thing", "B", "A")
    init.write_settings(found, path, metric="accuracy")
    resolved = config.resolve("mine", kit_toml=path)
    assert resolved.competition.model_dump() == {
        "slug": "new-thing", "kind": "csv", "rerun_minutes": 540.0,
            "id": "key", "text": "body", "label": "mood", "language": "",
        "labels": ("B", "A"), "synonyms": {"A": ("Ay",)}, "metric": "accuracy", "encoding": "utf-8",
        "submission_id": "", "submission_label": "", "submission_values": {}, "delimiter": ",",
        "submission": "label",
    }  # fmt: skip
    assert resolved.kernel.title == "New Thing"
    assert resolved.kernel.internet is False
    assert "# mine" in path.read_text()
    assert "# keep" in path.read_text()
    before = path.read_text()
    init.write_settings(found, path, metric="accuracy")
    assert path.read_text() == before, "doing it again changes nothing"


def test_a_broken_kit_toml_is_refused_and_left_alone(tmp_path: Path) -> None:
    """The line is named; nothing is written."""
    path = tmp_path / "kit.toml"
    path.write_text("[competition\n")
    with pytest.raises(InputInvalid, match=r"kit\.toml"):
        init.write_settings(suggestion("s", "A", "B"), path)
    assert path.read_text() == "[competition\n"


@pytest.mark.parametrize(
    "slug", ["abc", "a-very-long-competition-slug-that-goes-on-and-on-for-ever", "x-2026"]
)
def test_the_metadata_template_round_trips(tmp_path: Path, slug: str) -> None:
    """Title and id agree for every preset, whatever the slug."""
    path = tmp_path / "kit.toml"
    init.write_settings(suggestion(slug, "A", "B"), path)
    template = tmp_path / "kernel-metadata.json"
    template.write_text(metadata.TEMPLATE.read_text())
    init.write_metadata(config.resolve("t4x2", kit_toml=path), template)
    told = json.loads(template.read_text())
    assert told["competition_sources"] == [slug]
    assert told["code_file"] == "build/t4x2/kernel.py"
    assert told["id"] == f"your-username/{slugify(told['title'])}"
    for preset in ("reference", "smoke", "t4x2"):
        assert metadata.slug(config.resolve(preset, kit_toml=path)).endswith(preset)
