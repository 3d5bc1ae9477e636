"""Say what a run was: its state, the settings that differ from the defaults, where its code came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kit.config import Config, schema_names
from kit.review.results import Results

VALUE_LIMIT = 160


@dataclass(frozen=True)
class Difference:
    """One setting that is not at its default."""

    name: str
    value: str
    default: str
    meaning: str


@dataclass(frozen=True)
class State:
    """How the run ended, in a word and, where it failed, with its reason."""

    word: str
    reason: str
    is_good: bool


def state(run: Results) -> State:
    """Return how the run ended, by run.json."""
    ended = str(run.run.get("ended", "")) or "unknown"
    word, _, reason = ended.partition(":")
    return State(word.strip(), " ".join(reason.split()), word.strip() == "complete")


def differences(run: Results) -> list[Difference]:
    """Return the settings of the run that differ from the kit's defaults; the competition has none."""
    defaults = Config(preset="", competition=run.competition).model_dump(mode="json")
    ours, theirs = _flat(run.config), _flat(defaults)
    meanings = schema_names()
    return [
        Difference(name, _shown(ours[name]), _shown(theirs.get(name)), meanings.get(name, ""))
        for name in ours
        if name != "preset" and not name.startswith("competition.") and ours[name] != theirs.get(name)
    ]


def newer_settings(run: Results) -> list[str]:
    """Return today's settings that an older run knew nothing of."""
    ours = _flat(run.config)
    return [name for name in schema_names() if name not in ours and not name.startswith("competition.")]


def facts(run: Results) -> list[tuple[str, str]]:
    """Return what identifies the run, each with its name, empty values left out."""
    push, told = run.push, run.run
    train = told.get("train_rows")
    seen = told.get("share_of_train_seen")
    rows = {
        "preset": run.config.get("preset", ""),
        "model": run.config.get("model", {}).get("name", ""),
        "loader": told.get("loader", ""),
        "number format": f"{_of(told, 'precision', 'dtype')} ({_of(told, 'precision', 'reason')})"
        if told.get("precision")
        else "",
        "cards": ", ".join(map(_card, told.get("cards") or [])) or "none, it ran on the CPU",
        "training rows": _counts(train) if isinstance(train, Mapping) else _shown(train) if train else "",
        "share of them that the models saw": f"{seen:.0%}" if isinstance(seen, int | float) else "",
        "competition": run.competition.slug,
        "pushed": push.get("pushed_at", ""),
        "commit": push.get("commit", "") + (" with uncommitted changes" if push.get("dirty") else ""),
        "bundle hash": told.get("bundle_hash", ""),
        "script sha256": push.get("sha256", ""),
        "test.csv sha256": told.get("test_sha256", ""),
    }
    return [(name, str(value)) for name, value in rows.items() if value]


def address(run: Results) -> str:
    """Return the run's page on Kaggle; empty for a rehearsal, whose server is gone."""
    url = str(run.push.get("url", ""))
    return url if url.startswith("https://") else ""


def score(run: Results) -> str:
    """Return the leaderboard's score, where the run was submitted and scored."""
    return str(run.submission.get("public_score") or "")


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def _shown(value: object) -> str:
    if value is None:
        return "–"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= VALUE_LIMIT else f"{text[:VALUE_LIMIT]}…"


def _of(told: Mapping[str, Any], section: str, name: str) -> str:
    inner = told.get(section)
    return str(inner.get(name, "")) if isinstance(inner, Mapping) else ""


def _card(card: object) -> str:
    return str(card.get("name", card)) if isinstance(card, Mapping) else str(card)


def _counts(train: Mapping[str, Any]) -> str:
    return ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in train.items())
