"""The options of the generated Sudoku tasks, one class a size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hrm.tasks.grid import Grid
from hrm.tasks.options import require


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
    test_puzzles: int = 1000
    data_seed: int = 0
    """Decides the puzzles; a run's own seed only decides the order in which they are seen."""
    augment: bool = True
    """Show each training puzzle under a random symmetry each time: the official augmentations."""

    def __post_init__(self) -> None:
        own = type(self).__dataclass_fields__["name"].default
        require(
            self, "name", self.name == own, f"must be {own!r} for a {self.grid.size}x{self.grid.size} grid"
        )
        for name in ("train_puzzles", "valid_puzzles", "test_puzzles"):
            require(self, name, getattr(self, name) >= 1, "must be at least 1")
        require(self, "data_seed", self.data_seed >= 0, "must be 0 or more")
        most = self.grid.num_cells - 1
        fits = self.clues is None or self.fewest_clues <= self.clues <= most
        require(
            self,
            "clues",
            fits,
            f"must lie in {self.fewest_clues}..{most} for {self.name}, or null for minimal",
        )

    @property
    def sizes(self) -> dict[str, int]:
        """Puzzles of each split."""
        return {"train": self.train_puzzles, "valid": self.valid_puzzles, "test": self.test_puzzles}


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
