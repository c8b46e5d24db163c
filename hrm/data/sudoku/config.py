"""The options of the generated Sudoku tasks, one class a size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hrm.config.validation import Rule, at_least, check
from hrm.data.sudoku.grid import Grid


@dataclass(frozen=True, kw_only=True)
class SudokuConfig:
    """Generated puzzles with unique solutions.

    Raises:
        ConfigError: a value is out of range.
    """

    grid: ClassVar[Grid]
    fewest_clues: ClassVar[int]
    """Fewest clues that at least one random puzzle in six gets down to."""

    name: str
    clues: int | None = None
    """Clues of every puzzle; null is minimal: no clue can be spared."""
    train_puzzles: int = 1000
    """Base training puzzles, before augmentation."""
    valid_puzzles: int = 256
    """Puzzles that reports, and so all decisions, are made on."""
    test_puzzles: int = 1000
    """Puzzles that only the verdict reads."""
    data_seed: int = 0
    """Decides the puzzles; a run's own seed only decides the order in which they are seen."""
    augment: bool = True
    """Show each training puzzle under a random symmetry each time: the official augmentations."""

    def __post_init__(self) -> None:
        check(self, RULES, "task")

    @property
    def own_name(self) -> str:
        """The name of the task of this size."""
        return str(type(self).__dataclass_fields__["name"].default)

    @property
    def sizes(self) -> dict[str, int]:
        """Puzzles of each split."""
        return {"train": self.train_puzzles, "valid": self.valid_puzzles, "test": self.test_puzzles}


RULES = (
    Rule(
        "name", lambda c: c.name == c.own_name,
        lambda c: f"must be {c.own_name!r} for a {c.grid.size}x{c.grid.size} grid",
    ),
    *at_least(1, "train_puzzles", "valid_puzzles", "test_puzzles"),
    *at_least(0, "data_seed"),
    Rule(
        "clues", lambda c: c.clues is None or c.fewest_clues <= c.clues < c.grid.num_cells,
        lambda c: f"must lie in {c.fewest_clues}..{c.grid.num_cells - 1} for {c.name}, or null for minimal",
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Sudoku4Config(SudokuConfig):
    grid: ClassVar[Grid] = Grid(2, 2)
    fewest_clues: ClassVar[int] = 4
    name: str = "sudoku4"
    valid_puzzles: int = 64
    test_puzzles: int = 128


@dataclass(frozen=True, kw_only=True)
class Sudoku6Config(SudokuConfig):
    grid: ClassVar[Grid] = Grid(2, 3)
    fewest_clues: ClassVar[int] = 9
    name: str = "sudoku6"
    clues: int | None = 18


@dataclass(frozen=True, kw_only=True)
class Sudoku9Config(SudokuConfig):
    grid: ClassVar[Grid] = Grid(3, 3)
    fewest_clues: ClassVar[int] = 23
    name: str = "sudoku9"
    clues: int | None = 30


MILLISECONDS: dict[str, dict[int, float]] = {
    "sudoku4": {4: 0.08, 6: 0.04, 10: 0.02},
    "sudoku6": {9: 2.3, 10: 0.43, 11: 0.22, 12: 0.17, 14: 0.12, 18: 0.11, 24: 0.07, 30: 0.05},
    "sudoku9": {23: 19.0, 24: 6.1, 25: 3.0, 26: 1.8, 28: 1.1, 30: 1.0, 34: 0.78, 40: 0.60, 60: 0.34},
}
"""Core time of a puzzle by clues, rejected draws included: of 1,024 draws on one busy core (Intel Xeon)."""
MINIMAL_MILLISECONDS = {"sudoku4": 0.06, "sudoku6": 0.29, "sudoku9": 4.6}


def estimate_seconds(config: SudokuConfig) -> float:
    """Core seconds that it takes to generate the set: all its puzzles, on one core like the one measured."""
    if config.clues is None:
        each = MINIMAL_MILLISECONDS[config.name]
    else:
        rates = MILLISECONDS[config.name]
        each = float(np.interp(config.clues, list(rates), list(rates.values())))
    return sum(config.sizes.values()) * each / 1e3
