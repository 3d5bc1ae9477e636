"""Write the submission, joined to the test rows by id. It invents no label and fills no gap."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kit import files
from kit.errors import KitError

if TYPE_CHECKING:
    from pandas import DataFrame

    from kit.config import Competition


def write(path: Path, test: DataFrame, label_by_id: Mapping[str, str], competition: Competition) -> None:
    """Write `id,label` under the competition's column names, in the order of `test`, whole or not at all.

    UTF-8 with LF. Raises KitError on a test id without a label, a label without a test id, a label outside
    the set, or a disk that refuses.
    """
    ids = test["id"].tolist()
    _check(path, ids, label_by_id, competition)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([competition.id, competition.label])
    writer.writerows((name, label_by_id[name]) for name in ids)
    files.write_whole(path, text.getvalue())


def _check(path: Path, ids: list[str], label_by_id: Mapping[str, str], competition: Competition) -> None:
    known = set(ids)
    without = [name for name in ids if name not in label_by_id]
    extra = [name for name in label_by_id if name not in known]
    wrong = [(name, label) for name, label in label_by_id.items() if label not in competition.labels]
    if without:
        raise KitError(f"{path}: {len(without)} test ids have no label, the first is {without[0]!r}")
    if extra:
        raise KitError(f"{path}: {len(extra)} labels are for ids outside the test, the first is {extra[0]!r}")
    if wrong:
        allowed = ", ".join(map(repr, competition.labels))
        raise KitError(f"{path}: label {wrong[0][1]!r} of id {wrong[0][0]!r} is not one of {allowed}")
