"""The options of the generated Sudoku tasks, one class a size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hrm.rules import Rule, at_least, check
from hrm.tasks.grid import Grid


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
