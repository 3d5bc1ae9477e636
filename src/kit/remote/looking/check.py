"""What one look before a push says. It looks at nothing itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["pass", "warn", "fail", "ask"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. Only `fail` keeps a push back."""

    name: str
    verdict: Verdict
    text: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.verdict}  {self.name:<12}  {self.text}" + (f" (try: {self.hint})" if self.hint else "")
