"""The English names of languages, by the codes that data sets use, out of languages.txt."""

import re
from pathlib import Path

_TABLE = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8")
NAME_BY_CODE: dict[str, str] = dict(re.findall(r"\b([a-z]{2,3}) ([^,\n]+)", re.sub("#.*", "", _TABLE)))
_NAME_BY_FOLDED = {english.casefold(): english for english in NAME_BY_CODE.values()}


def name(code: str) -> str:
    """Return the English name that a code (`ta`, `zh-CN`) or an English name stands for, else nothing."""
    folded = code.strip().casefold()
    return NAME_BY_CODE.get(re.split("[-_]", folded)[0]) or _NAME_BY_FOLDED.get(folded, "")
