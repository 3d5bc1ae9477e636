"""Say what a run was: its state, the settings that differ from the defaults, where its code came from."""

from __future__ import annotations

import json
from typing import NamedTuple

from kit.config import Config, schema_names
from kit.outputs import MADE
from kit.review import record
from kit.review.record import Origin, Push
from kit.review.results import Results

VALUE_LIMIT = 160


class Difference(NamedTuple):
    """One setting that is not at its default."""

    name: str
    value: str
    default: str
    meaning: str


def differences(run: Results) -> list[Difference]:
    """Return the settings of the run that differ from the kit's defaults; the competition has none."""
    defaults = Config(preset="", competition=run.competition).model_dump(mode="json")
    ours, theirs = run.run.settings, record.flat(defaults)
    meanings = schema_names()
    return [
        Difference(name, _shown(ours[name]), _shown(theirs.get(name)), meanings.get(name, ""))
        for name in ours
        if name != "preset" and not name.startswith("competition.") and ours[name] != theirs.get(name)
    ]


def newer_settings(run: Results) -> list[str]:
    """Return today's settings that an older run knew nothing of."""
    ours = run.run.settings
    return [name for name in schema_names() if name not in ours and not name.startswith("competition.")]


def facts(run: Results) -> list[tuple[str, str]]:
    """Return what identifies the run, each with its name, empty values left out."""
    push, told = run.push or Push(), run.run
    seen, dtype = told.share_of_train_seen, told.precision.get("dtype", "")
    rows = (f"{count:,.0f} {name.replace('_', ' ')}" for name, count in told.train_rows.items())
    parts = (record.read(Origin, run.folder / MADE) or Origin()).members
    shown = {
        "preset": str(told.settings.get("preset", "")),
        "why": push.note,
        "model": str(told.settings.get("model.name", "")),
        "loader": told.loader,
        "number format": dtype and f"{dtype} ({told.precision.get('reason')})",
        "cards": ", ".join(card.name for card in told.cards) or "none, it ran on the CPU",
        "training rows": ", ".join(rows),
        "share of them that the models saw": "" if seen is None else f"{seen:.0%}",
        "competition": run.competition.slug,
        "pushed": push.pushed_at,
        "commit": push.commit + (" with uncommitted changes" if push.dirty else ""),
        "bundle hash": told.bundle_hash,
        "script sha256": push.sha256,
        "test.csv sha256": told.test_sha256,
        "blend of": ", ".join(f"{one.run} ({one.weight:.3g})" for one in parts),
    }
    return [(name, value) for name, value in shown.items() if value]


def _shown(value: object) -> str:
    if value is None:
        return "–"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= VALUE_LIMIT else f"{text[:VALUE_LIMIT]}…"
