"""What a competition asks, as settings: its columns, labels, metric and the form of a submission."""

import codecs
import difflib
import re
import unicodedata
from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from kit.task.metrics import METRICS


def one_of(names: Iterable[str]) -> AfterValidator:
    """Accept the names of a table's rows only, and name the nearest to another."""
    known = list(names)

    def check(name: str) -> str:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        refuse((name not in known, f"there are {', '.join(known)}{hint}"))
        return name

    return AfterValidator(check)


def refuse(*objections: tuple[object, str]) -> None:
    """Raise ValueError with the first objection that holds."""
    for holds, text in objections:
        if holds:
            raise ValueError(text)


class Settings(BaseModel):
    """A frozen group of settings that refuses unknown names and wrong types."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


def _codec(name: str) -> str:
    try:
        "a".encode(name)  # rot13 and hex are codecs too, but none of text
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        raise ValueError("Python knows no such encoding") from None


class Competition(Settings):
    """What the competition asks; another competition of this kind changes only these."""

    slug: Annotated[str, Field(pattern="^[A-Za-z0-9-]+$")]
    """The last part of the competition's address on Kaggle."""
    kind: Literal["csv", "code"] = "csv"
    """What it takes: a `csv`, or `code`, a kernel version that Kaggle runs again on hidden rows."""
    rerun_minutes: Annotated[float, Field(gt=0)] = 540.0
    """How long that may take, by the competition's page; the API does not tell it."""
    id: str = "id"
    """Column of test.csv that names the row; empty where there is none and rows are numbered from 0."""
    text: str | Annotated[tuple[str, ...], Field(min_length=1, strict=False)] = "text"
    """Column that holds the text, or a list of several columns."""
    label: str = "label"
    """Column of train.csv that holds the label."""
    language: str = ""
    """Column that holds the sentence's language; empty where there is none."""
    labels: Annotated[tuple[str, ...], Field(min_length=2, strict=False)]
    """Every label, spelled as the submission must spell it."""
    synonyms: dict[str, Annotated[tuple[str, ...], Field(strict=False)]] = {}
    """Other words a model may answer with, by the label that they mean."""
    metric: Annotated[str, one_of(METRICS)] = "macro_f1"
    """What the competition ranks by; `qwk` takes the labels in their order."""
    submission: Literal["label", "probability", "probabilities", "ranking"] = "label"
    """What a row gives: its label, the probability of the one written `1`, one of each, or the likeliest."""
    submission_id: str = ""
    """The submission's id column; empty takes the sample submission's, or `id` where there is none."""
    submission_label: str = ""
    """The submission's label column; empty takes the sample submission's, or `label` where there is none."""
    submission_values: dict[str, str] = {}
    """What the submission writes for a label, or calls its column, where that is another word."""
    encoding: Annotated[str, AfterValidator(_codec)] = "utf-8"
    """Encoding of train.csv and test.csv; make init finds UTF-8, UTF-16 and cp1252."""
    delimiter: Annotated[str, Field(pattern=r'^[^"\r\n]$')] = ","
    """What separates the fields of train.csv and test.csv."""

    @property
    def texts(self) -> tuple[str, ...]:
        """Every column of text."""
        return (self.text,) if isinstance(self.text, str) else self.text

    def word(self, label: str) -> str:
        """Return what a model is taught to say for a label: where all are numbers, words if all have some."""
        is_numbers = all(re.fullmatch(r"[-+]?\d+(\.\d+)?", one) for one in self.labels)
        return self.synonyms[label][0] if is_numbers and all(map(self.synonyms.get, self.labels)) else label

    @model_validator(mode="after")
    def _labels_can_be_told_and_written(self) -> Self:
        keys = [spelling_key(label) for label in self.labels]
        written = [self.written(label) for label in self.labels]
        same = [label for label in self.labels if keys.count(spelling_key(label)) > 1]
        two = f"submission_values = {{ {self.labels[0]} = '0', {self.labels[1]} = '1' }} names it"
        refuse(
            (not all(keys), "competition.labels: a label is blank"),
            (same, f"competition.labels: {' and '.join(map(repr, same))} are one label; keep one of them"),
            (not {*self.submission_values} <= {*self.labels}, "submission_values: not each name is a label"),
            (len({*written}) < len(written), "submission_values: two labels would be written alike"),
            (
                self.submission == "probability" and "1" not in written,
                "competition.submission = 'probability' is of the label that is written 1, and none is; "
                + two,
            ),
            (
                self.submission == "ranking" and any(len(word.split()) > 1 for word in written),
                "competition.submission = 'ranking' needs submission_values without blanks",
            ),
        )
        return self

    @property
    def places(self) -> int:
        """How many labels a ranking names."""
        return int(self.metric.partition("@")[2] or 3)

    def written(self, label: str) -> str:
        """Return what the submission writes for a label."""
        return self.submission_values.get(label, label)

    def spelling_of(self, text: str) -> str:
        """Return the label that `text` is, in another case, with blanks or as a float too, or nothing."""
        if text in self.labels:
            return text
        key = spelling_key(text)
        return next((label for label in self.labels if key and spelling_key(label) == key), "")


def spelling_key(label: str) -> str:
    """Return what all spellings of a label share: case, blanks, `_`, Unicode form and `.0` do not count.

    Nor do marks that nobody sees: the parser, too, reads a label without them and in that form.
    """
    seen = "".join(letter for letter in label[:1000] if unicodedata.category(letter) != "Cf")
    words = re.sub(r"(?<=\S)[\s_-]+(?=\S)", " ", unicodedata.normalize("NFKC", seen).strip().casefold())
    return re.sub(r"(?<=\d)\.0+$", "", words) if words[-1:] == "0" else words
