"""Resolve settings at home, from a preset, kit.toml and overrides, into the config of a run."""

import ast
import contextlib
import difflib
import functools
import itertools
import json
import reprlib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kit.competition import Competition as Competition
from kit.competition import spelling_key as spelling_key
from kit.errors import SettingInvalid
from kit.files import PROJECT_ROOT as PROJECT_ROOT
from kit.settings import SWEPT
from kit.settings import Config as Config
from kit.settings import Lora as Lora
from kit.settings import Prompt as Prompt
from kit.settings import schema_names as schema_names

Table = dict[str, Any]  # settings by name, some of them tables again, as TOML has them
GRID_HINT = 'make sweep GRID="train.learning_rate=1e-4,2e-4 seed=1,2"'


def resolve(preset: str, overrides: Sequence[str] = (), *, kit_toml: Path | None = None) -> Config:
    """Return the settings of a preset under kit.toml and `section.name=value` overrides, later ones winning.

    Raises SettingInvalid with the nearest valid name where a preset, a name or a type is wrong.
    """
    path = kit_toml or PROJECT_ROOT / "kit.toml"
    user = _read_toml(path)
    presets = {**shipped(), **user.pop("preset", {})}
    layers = [*_layers(preset, presets), *map(_parse_override, overrides)]
    merged = functools.reduce(_merge, layers, user)
    resolved = load({**merged, "preset": preset}, where=f"preset {preset!r} with {path.name}")
    for text in resolved.run.grid:
        point(resolved, text)  # refused here and not in the kernel
    return resolved


def shipped() -> dict[str, Table]:
    """Return the presets that ship with the kit, by name."""
    return dict(_read_toml(Path(__file__).with_name("presets.toml"))["preset"])


def override(config: Config, overrides: Sequence[str]) -> Config:
    """Return the settings of `config` under `section.name=value` overrides, later ones winning."""
    merged = functools.reduce(_merge, map(_parse_override, overrides), config.model_dump(mode="json"))
    return load(merged, where=" ".join(overrides))


def point(config: Config, text: str) -> Config:
    """Return the settings of one point of a sweep, `train.epochs=2 seed=7`, itself without a grid.

    Raises SettingInvalid for what all points of a sweep must share.
    """
    overrides = words(text)
    for setting in overrides:
        name = setting.partition("=")[0]
        if not name.startswith(SWEPT):
            text = f"a sweep cannot vary {name!r}, only {', '.join(SWEPT)}"
            raise SettingInvalid(text, hint="one run for each value")
    return override(config, ["run.grid=[]", *overrides])


def grid(text: str) -> list[str]:
    """Return every point of `train.learning_rate=1e-4,2e-4 seed=1,2`, each `name=value` by spaces.

    The setting that is named last changes first. Raises SettingInvalid for an empty or malformed grid.
    """
    choices: dict[str, list[str]] = {}
    for part in words(text):
        name, equals, listed = part.partition("=")
        values = words(listed, ",")
        read = [_value(value) for value in values]
        is_doubled = name in choices or any(value in read[:at] for at, value in enumerate(read))
        if not equals or not all(values) or is_doubled:
            raise SettingInvalid(f"{part!r} is not name=value,value, each once", hint=GRID_HINT)
        choices[name] = [f"{name}={value}" for value in values]
    if not choices:
        raise SettingInvalid("the grid is empty", hint=GRID_HINT)
    return [" ".join(combination) for combination in itertools.product(*choices.values())]


def words(text: str, separators: str = " \t\n") -> list[str]:
    """Split `a.b=1 c.d='My Title'` at blanks, or at other separators, outside quotes and brackets.

    A quote opens only where a value begins, so that an apostrophe in a word is one.
    """
    found, word, closing, before = [], "", "", "="
    for letter in text:
        if letter in separators and not closing:
            found.append(word)
            word = ""
        else:
            word += letter
            if closing and letter == closing[-1]:
                closing = closing[:-1]
            elif letter in "[{" and closing[-1:] not in ("'", '"'):
                closing += {"[": "]", "{": "}"}[letter]
            elif letter in "'\"" and before in "=,:[{ " and closing[-1:] not in ("'", '"'):
                closing += letter
        before = letter
    if closing:
        raise SettingInvalid(f"{text!r} lacks a closing {closing[-1]}", hint="SET=\"a.b='two words'\"")
    found.append(word)
    return [word for word in found if word] if separators.isspace() else found


def load(values: Mapping[str, object], *, where: str) -> Config:
    """Return the Config that `values` hold; `where` names their origin in a refusal."""
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise SettingInvalid(f"{where}: {_first_problem(error)}", hint="make settings") from None


def _read_toml(path: Path) -> Table:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingInvalid(f"{path} is missing", hint="make init COMPETITION=<slug>") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingInvalid(f"{path}: {error}", hint="mend that line") from None


def _layers(preset: str, presets: Mapping[str, Table]) -> list[Table]:
    """Return the tables that `preset` stands on, the furthest first."""
    layers: list[Table] = []
    name, seen = preset, [preset]
    while name:
        table = presets.get(name)
        if not isinstance(table, Mapping):
            raise SettingInvalid(f"no preset {name!r}{_nearest(name, presets)}", hint="make help")
        layers.insert(0, {key: value for key, value in table.items() if key != "extends"})
        name = str(table.get("extends", ""))
        if name in seen:
            raise SettingInvalid(f"preset {name!r} extends itself: {' -> '.join([*seen, name])}")
        seen.append(name)
    return layers


def _merge(lower: Mapping[str, object], upper: Mapping[str, object]) -> Table:
    both = {name: (lower.get(name), value) for name, value in upper.items()}
    merged = {
        name: _merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
        for name, (below, value) in both.items()
    }
    return {**lower, **merged}


def _parse_override(override: str) -> Table:
    """Return `train.epochs=2` as nested tables; the value is JSON where it can be, else text."""
    name, equals, text = override.partition("=")
    if not equals or not name:
        raise SettingInvalid(f"{override!r} is not name=value", hint='SET="train.epochs=2 seed=7"')
    known = schema_names()
    if name not in known and not name.startswith("competition.synonyms."):
        raise SettingInvalid(f"no setting {name!r}{_nearest(name, known)}", hint="make settings")
    *sections, last = name.split(".")
    nested: Table = {last: _value(text)}
    for section in reversed(sections):
        nested = {section: nested}
    return nested


def _value(text: str) -> object:
    value: object = text
    for read in (ast.literal_eval, json.loads):
        with contextlib.suppress(ValueError, TypeError, SyntaxError, RecursionError):
            value = read(text)
    return value


_IN_PLAIN_WORDS = {
    "a valid string": "text; digits become text in quotes",
    "a valid tuple": 'a list, as in ["a","b"]',
    "a valid dictionary": "a table",
    "a valid integer": "a whole number",
    "a valid boolean": "true or false",
    "match pattern '^[A-Za-z0-9-]+$'": "be letters, digits and dashes, as in its address",
    "match pattern '^[^\"\\r\\n]$'": "be one character, no quote and no line end",
}
"""Pydantic's names of kinds of values, as a person knows them."""


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"no setting {name!r}{_nearest(name, schema_names())}"
    if problem["type"] == "missing":
        return f"{name!r} is not set"
    given = f"{name} = {reprlib.repr(problem['input'])}: "
    if problem["type"] == "value_error":
        return f"{given if name in schema_names() else ''}{problem['ctx']['error']}"
    wanted = problem["msg"].rpartition(" should ")[2]
    for words, plain in _IN_PLAIN_WORDS.items():
        wanted = wanted.replace(words, plain)
    return f"{given}it should {wanted}"


def _nearest(name: str, known: Mapping[str, object]) -> str:
    last = {full.rsplit(".", 1)[-1]: full for full in known}
    short = difflib.get_close_matches(name.rsplit(".", 1)[-1], last, n=1, cutoff=0.6)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6) or [last[one] for one in short]
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
