"""Settings are resolved at home, refused there when wrong, and travel unchanged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kit import config as settings
from kit import environment
from kit.errors import KitError, SettingInvalid

COMPETITION = '[competition]\nslug = "s"\nlabels = ["A", "B"]\n'


@pytest.fixture
def kit_toml(tmp_path: Path) -> Path:
    """A smallest kit.toml."""
    path = tmp_path / "kit.toml"
    path.write_text(COMPETITION)
    return path


def test_a_preset_uses_the_whole_machine() -> None:
    """A member a card of the accelerator, unless the preset or SET says otherwise."""
    for name, cards, members in (("NvidiaL4", 4, 4), ("NvidiaH100", 1, 1), ("NvidiaTeslaT4", 2, 2)):
        run = settings.resolve("t4x2", [f"kernel.accelerator={name}"]).run
        assert (run.cards, run.members) == (cards, members)
    assert settings.resolve("t4x2", ["kernel.accelerator=NvidiaL4", "run.members=1"]).run.members == 1
    assert settings.resolve("t4x2-cv", ["kernel.accelerator=NvidiaL4"]).run.members == 1


@pytest.mark.parametrize("preset", list(settings.shipped()))
def test_every_preset_resolves_and_survives_the_bundle(preset: str) -> None:
    """Config to JSON and back is the same config."""
    resolved = settings.resolve(preset)
    again = settings.load(json.loads(json.dumps(resolved.model_dump(mode="json"))), where="the bundle")
    assert again == resolved


def test_the_full_preset_is_the_mission() -> None:
    """Llama 3.1 8B Instruct in 4 bit, all seven linear modules, two members on two T4 cards."""
    full = settings.resolve("t4x2")
    assert full.model.name == "unsloth/Meta-Llama-3.1-8B-Instruct-bnb-4bit"
    assert (full.lora.r, full.lora.alpha, full.lora.dropout, len(full.lora.modules)) == (16, 16, 0.0, 7)
    assert (full.train.pack_tokens, full.train.packing, full.train.optimizer) == (0, True, "adamw_8bit")
    assert (full.run.members, full.run.cards, full.kernel.accelerator) == (2, 2, "NvidiaTeslaT4")
    assert full.kernel.private


def test_smoke_differs_from_the_full_run_only_in_size() -> None:
    """Same model, same install, both cards: what it proves holds for the full run."""
    full, smoke = settings.resolve("t4x2"), settings.resolve("smoke")
    for part in ("model", "lora", "prompt", "predict"):
        assert getattr(smoke, part) == getattr(full, part)
    assert smoke.run.members == full.run.members
    assert (smoke.data.train_rows, smoke.data.test_rows, smoke.train.max_steps) == (64, 16, 8)


def test_overrides_win_over_the_preset_and_the_preset_over_kit_toml(kit_toml: Path) -> None:
    """Later layers win; what they do not name stays."""
    kit_toml.write_text(COMPETITION + "[train]\nepochs = 9.0\nwarmup_steps = 3\n")
    resolved = settings.resolve("tiny", ["train.epochs=1.5", "seed=7"], kit_toml=kit_toml)
    assert (resolved.train.epochs, resolved.train.warmup_steps, resolved.seed) == (1.5, 3, 7)
    assert settings.resolve("tiny", kit_toml=kit_toml).train.epochs == settings.resolve("tiny").train.epochs


def test_a_preset_of_kit_toml_may_extend_a_shipped_one(kit_toml: Path) -> None:
    """The user's own presets have the same form."""
    kit_toml.write_text(COMPETITION + '[preset.mine]\nextends = "smoke"\nseed = 5\n')
    mine = settings.resolve("mine", kit_toml=kit_toml)
    assert (mine.preset, mine.seed, mine.data.train_rows) == ("mine", 5, 64)


@pytest.mark.parametrize(
    ("preset", "override", "says"),
    [
        ("t4x3", "", "did you mean 't4x2'"),
        ("t4x2", "kernel.accelerator=NvidiaTeslaP100", "did you mean 'NvidiaTeslaA100'"),
        ("t4x2", "run.cards=4", "NvidiaTeslaT4 has 2"),
        ("t4x2", "kernel.image=latest", "match pattern"),
        ("t4x2", "model.name=qwen", "owner/name on Hugging Face"),
        ("tiny", "train.epoch=2", "did you mean 'train.epochs'"),
        ("tiny", "epochs=2", "did you mean 'train.epochs'"),
        ("tiny", "train.epochs=two", "train.epochs = 'two'"),
        ("tiny", "train.epochs=-1", "greater than or equal to 0"),
        ("tiny", "train.learning_rate=1e999", "a finite number"),
        ("tiny", "seed=12345678901234567890", "less than or equal to 2147483648"),
        ("tiny", "evaluate.seed=99999999999999999999", "less than or equal to 2147483648"),
        ("tiny", "kernel.title=it's", "at least 5 characters"),
        ("tiny", "train.packing=yes", "it should be true or false"),
        ("tiny", 'competition.labels=["a","A "]', "'a' and 'A ' are one label"),
        ("tiny", 'competition.labels=["a","\u200ba"]', "are one label"),
        ("tiny", 'competition.labels=["a","\uff41"]', "are one label"),
        ("tiny", "competition.slug=../up", "competition.slug = '../up': it should be letters, digits"),
        ("tiny", "competition.delimiter='\"'", "no quote"),
        ("tiny", "competition.encoding=rot13", "competition.encoding = 'rot13': Python knows no such"),
        ("tiny", "competition.metric=rmse", "competition.metric = 'rmse': there are macro_f1, accuracy, "),
        ("tiny", "competition.metric=macrof1", "did you mean 'macro_f1'?"),
        ("tiny", "competition.labels=a,b", 'a list, as in ["a","b"]'),
        ("tiny", "competition.labels=[1,2]", "digits become text in quotes"),
        ("tiny", 'run.grid=["seed=1","seed=1"]', "holds a point twice"),
        ("tiny", "seed=1.5", "seed = 1.5"),
        ("tiny", 'train.packing="yes"', "it should be true or false"),
        ("tiny", "prompt.style=gemma", "there are plain, notebook, llama3"),
        ("tiny", "seed", "not name=value"),
        ("tiny", 'competition.labels=["one"]', "at least 2"),
        ("tiny", "model.max_row_tokens=4096", "exceeds train.pack_tokens"),
        ("tiny", 'predict.templates=["plain"]', "would count a style twice; the rows are"),
        ("tiny", 'predict.templates=["notebook", "notebook"]', "prompt.style = 'plain'"),
        ("tiny", 'prompt.language=true competition.language=""', "= true needs competition.language"),
        ("tiny", "competition.submission=probability", "is of the label that is written 1, and none is"),
        ("tiny", 'competition.submission=ranking competition.labels=["A b","B"]', "values without blanks"),
        ("tiny", 'competition.labels=["A"," "]', "a label is blank"),
        ("tiny", 'competition.labels=["A","A"]', "'A' and 'A' are one label"),
        ("tiny", 'competition.labels=["Mixed feelings","mixed_feelings"]', "are one label"),
        ("tiny", 'competition.labels=["\u00e9","e\u0301"]', "are one label"),
        ("tiny", 'competition.labels=["1","1.0"]', "are one label"),
        ("tiny", "competition.submission_values={'C': '1'}", "not each name is a label"),
        ("tiny", "competition.submission_values={'Positive': 'Negative'}", "would be written alike"),
        ("t4x2", 'run.grid=["model.name=a/b"]', "a sweep cannot vary 'model.name'"),
        ("t4x2", 'run.grid=["lora.r=8"]', "a sweep cannot vary 'lora.r'"),
        ("t4x2", 'run.grid=["train.learning_rate=fast"]', "train.learning_rate = 'fast'"),
        ("t4x2", 'run.grid=["train.lerning_rate=1"]', "no setting 'train.lerning_rate'"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_would_be_right(preset: str, override: str, says: str) -> None:
    """At home, before anything is bundled, and not after an hour on a GPU."""
    with pytest.raises(SettingInvalid) as caught:
        settings.resolve(preset, settings.words(override))
    assert says in caught.value.message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (COMPETITION + "[trian]\nepochs = 1\n", "trian"),
        ("[competition\n", "kit.toml"),
        ('[competition]\nslug = "s"\n', "'competition.labels' is not set"),
        (COMPETITION + '[preset.a]\nextends = "b"\n[preset.b]\nextends = "a"\n', "extends itself"),
        (COMPETITION + '[preset.a]\nextends = ["smoke"]\n', "no preset \"['smoke']\"; did you mean 'smoke'?"),
        ("preset.a = 3\n" + COMPETITION, "no preset 'a'"),
        ("", "make init"),
    ],
)
def test_a_wrong_kit_toml_is_refused_by_name(kit_toml: Path, text: str, says: str) -> None:
    """The message says which file and what is wrong in it; where it is missing, the verb that writes it."""
    kit_toml.write_text(text) if text else kit_toml.unlink()
    with pytest.raises(SettingInvalid) as caught:
        settings.resolve("a" if "preset.a" in text else "tiny", kit_toml=kit_toml)
    assert says in str(caught.value)


def test_every_setting_is_documented() -> None:
    """By the string under it."""
    assert [name for name, meaning in settings.schema_names().items() if not meaning and "." in name] == []


def test_a_config_cannot_be_changed() -> None:
    """It decides a run, and travels with its result."""
    with pytest.raises(ValueError, match="frozen"):
        settings.resolve("tiny").seed = 1  # type: ignore[misc]


def test_the_seams_name_themselves_when_their_folder_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Outside Kaggle the folders come from the environment."""
    monkeypatch.setenv("KIT_INPUT_DIR", str(tmp_path))
    assert environment.input_dir() == tmp_path
    monkeypatch.setenv("KIT_WORKING_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(KitError, match="nowhere"):
        environment.working_dir()


@pytest.mark.parametrize(
    ("value", "is_fine"),
    [
        ("", True),
        ("http://127.0.0.1:8000", True),
        ("http://localhost:8000/", True),
        ("http://[::1]:8000", True),
        ("https://127.0.0.1:8000", False),
        ("http://127.0.0.1.evil.example:80", False),
        ("http://evil.example:80", False),
        ("http://127.0.0.1:80@evil.example", False),
        ("http://127.0.0.1", False),
    ],
)
def test_only_loopback_stands_in_for_kaggle(
    monkeypatch: pytest.MonkeyPatch, value: str, is_fine: bool
) -> None:
    """Credentials go to the endpoint, so any other host is refused."""
    monkeypatch.setenv("KIT_KAGGLE_ENDPOINT", value)
    if is_fine:
        assert environment.kaggle_endpoint() == (value.rstrip("/") or None)
    else:
        with pytest.raises(SettingInvalid, match="KIT_KAGGLE_ENDPOINT"):
            environment.kaggle_endpoint()


def test_a_grid_is_every_combination() -> None:
    """The setting that is named last changes first; commas in brackets part nothing."""
    assert settings.grid("train.learning_rate=1e-4,2e-4 seed=1,2") == [
        "train.learning_rate=1e-4 seed=1",
        "train.learning_rate=1e-4 seed=2",
        "train.learning_rate=2e-4 seed=1",
        "train.learning_rate=2e-4 seed=2",
    ]
    lists = ['predict.templates=["notebook","llama3"]', "predict.templates=[]"]
    assert settings.grid(f"{lists[0]},[]") == lists


TWICE = ("seed=1,1", "seed=1 seed=2", "train.learning_rate=1e-4,0.0001")


@pytest.mark.parametrize("text", ["", "  ", "seed", "seed=", "seed=1,,2", "seed=1,", *TWICE])
def test_a_malformed_grid_is_refused(text: str) -> None:
    """With an example; a point that stands twice, however it is spelled, would be trained twice."""
    with pytest.raises(SettingInvalid) as caught:
        settings.grid(text)
    assert caught.value.hint == settings.GRID_HINT
