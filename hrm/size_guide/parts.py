"""What the sections of the document are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hrm.config.presets import load_preset
from hrm.models.counting import Counts
from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.puzzle.counting import count

BATCH_SIZE = 32
"""Sequences of every training step in the document."""
TOLERANCE = 0.05
"""How far an approximate claim may be off and still hold."""
YES, PARTLY, NO = "yes", "partly", "**no**"


@dataclass(frozen=True)
class Verdict:
    """One claim of the guide, what is exact, and whether it holds."""

    claim: str
    exact: str
    holds: str


@dataclass(frozen=True)
class Section:
    """A part of the guide: its claims, and the tables behind the verdicts."""

    title: str
    verdicts: Sequence[Verdict]
    body: str

    @property
    def anchor(self) -> str:
        """As GitHub makes it from the title."""
        kept = (c for c in self.title.lower() if c.isalnum() or c in " -")
        return "".join(kept).replace(" ", "-")


def model(preset: str = "base_default", **fields: Any) -> PuzzleHRMConfig:
    """A preset with fields replaced; vocabulary 11, 81 cells, one puzzle, as the guide assumes."""
    return PuzzleHRMConfig(**{**load_preset(preset).model, **fields})


def counts(preset: str = "base_default", batch_size: int = BATCH_SIZE, **fields: Any) -> Counts:
    """Counts of `model`."""
    return count(model(preset, **fields), batch_size)


def within_tolerance(error: float) -> str:
    """Whether an approximate claim that is off by this fraction holds."""
    return YES if abs(error) <= TOLERANCE else NO


def always(holds: Iterable[bool]) -> str:
    """Yes where all hold, no where none does, else partly."""
    outcomes = list(holds)
    return YES if all(outcomes) else PARTLY if any(outcomes) else NO


def unchanged(field: str, *changes: dict[str, Any]) -> str:
    """Whether Base keeps a count under each of the changes."""
    base = getattr(counts(), field)
    return always(getattr(counts(**change), field) == base for change in changes)


def times(ratio: float) -> str:
    """A factor: `×2.75`."""
    return f"×{ratio:.3g}"


def table(head: Sequence[str], rows: Iterable[Sequence[object]], words: int = 1) -> str:
    """A Markdown table: the first `words` columns flush left, the others flush right."""
    lines = [head, [*["---"] * words, *["---:"] * (len(head) - words)], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
