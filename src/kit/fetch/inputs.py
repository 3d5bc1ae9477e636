"""Find at home what a rehearsal mounts: the competition's files and the models that are made on this machine.

Makes or fetches what is missing and can be; the real competition's data come by `make data`.
"""

import csv
import itertools
import shutil
from pathlib import Path

from kit.config import PROJECT_ROOT, Competition, Config
from kit.errors import InputInvalid

SAMPLE_SLUG = "sample-sentiment"
"""What kit.toml names until `make init` names a real competition."""
PUBLIC_ROWS = 8
"""Test rows that a rehearsed code competition shows; the whole test.csv takes their place in the rerun."""
SAMPLE = PROJECT_ROOT / "src" / "local_kaggle" / "competition"
CORPUS = PROJECT_ROOT / "data" / "corpus"
MODELS = PROJECT_ROOT / "models"
TINY = "kit/tiny/transformers/default/1"
SMALL = "kit/small/transformers/default/1"
GEMMA = "kit/gemma/transformers/default/1"


def competition_folder(config: Config) -> Path:
    """Return the folder with train.csv and test.csv for this competition.

    While kit.toml still names the sample, a model that can read gets the real reviews of data/corpus.
    """
    if config.competition.slug != SAMPLE_SLUG:
        folder = PROJECT_ROOT / "data" / config.competition.slug
        if not (folder / "train.csv").is_file():
            raise InputInvalid(f"{folder / 'train.csv'} is missing", hint="make data")
        return folder
    if config.model.name in (SMALL, GEMMA):
        from kit.fetch import corpus

        corpus.make(CORPUS)
        return CORPUS
    return SAMPLE


def places(slug: str) -> list[Path]:
    """Return the folders that may hold a competition's files; rehearsals have theirs elsewhere."""
    own, shown = PROJECT_ROOT / "data" / slug, PROJECT_ROOT / "build" / "rehearse" / "public"
    return [own, SAMPLE, CORPUS, shown] if slug == SAMPLE_SLUG else [own, shown]


def public_part(data: Path, folder: Path, competition: Competition) -> Path:
    """Copy what a code competition shows from `data` to `folder`: all but train.csv cut to its first rows."""
    for path in stage(data, folder).glob("*.csv"):
        if path.name != "train.csv":
            with path.open(encoding=competition.encoding, newline="") as file:
                reader = csv.reader(file, delimiter=competition.delimiter)
                rows = list(itertools.islice(reader, PUBLIC_ROWS + 1))
            with path.open("w", encoding=competition.encoding, newline="") as file:
                csv.writer(file, delimiter=competition.delimiter).writerows(rows)
    return folder


def stage(data: Path, folder: Path) -> Path:
    """Copy what a competition mounts from `data` to a fresh `folder`: never its solution."""
    if not (data / "train.csv").is_file() or not (data / "test.csv").is_file():
        raise InputInvalid(f"{data} does not hold train.csv and test.csv", hint="make data")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in sorted(data.iterdir()):
        if path.is_file() and path.name != "solution.csv":
            shutil.copy(path, folder / path.name)
    return folder


def model_folder(config: Config) -> Path | None:
    """Return the folder of a model that lives in models/, made if it can be; None for one of Hugging Face."""
    name = config.model.name
    if name.count("/") == 1:
        return None
    from kit.fetch import gguf_models, tiny_model

    folder = MODELS / name
    if name == TINY:
        tiny_model.make(folder, labels=config.competition.labels)
    elif name in (SMALL, GEMMA):
        (gguf_models.make_small if name == SMALL else gguf_models.make_gemma)(folder)
    elif not (folder / "config.json").is_file():
        raise InputInvalid(f"{folder} holds no model", hint=f"SET=model.name={SMALL}")
    return folder
