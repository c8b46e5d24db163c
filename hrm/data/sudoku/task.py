"""The generated Sudoku tasks `sudoku4`, `sudoku6` and `sudoku9`."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import ClassVar

import numpy as np

from hrm.config.errors import DataError
from hrm.config.validation import Rule, at_least, check
from hrm.data.base import Dataset, Progress, TaskConfig
from hrm.data.cache import get_or_build
from hrm.data.sudoku.dataset import Puzzles, SudokuDataset, get_model_fields, save_splits
from hrm.data.sudoku.generator import VERSION, generate_puzzles
from hrm.data.sudoku.grid import ClassSplitter, Grid, compute_class_ids
from hrm.system.machine import count_cpus

SECONDS_WORTH_A_MESSAGE = 15.0
"""Data sets that take longer are announced first."""
SECONDS_WORTH_A_PROCESS = 1.5
"""Seconds of work on one core that repay the start of another process."""
MAX_DRAWS_PER_PUZZLE = 20
"""Four times as many as the rarest allowed number of clues needs."""
CHUNK = 1024
"""Most puzzles generated at once: with more, numpy gets no faster."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SudokuConfig(TaskConfig):
    """Generated puzzles with unique solutions.

    Raises:
        ConfigError: a value is out of range.
    """

    grid: ClassVar[Grid]
    supports_verdict: ClassVar[bool] = True
    fewest_clues: ClassVar[int]
    """Fewest clues that at least one random puzzle in six gets down to."""
    milliseconds: ClassVar[dict[int, float]]
    """Core time of a puzzle by clues, rejected draws included: over 1,024 draws on one busy core (Intel Xeon)."""
    minimal_milliseconds: ClassVar[float]
    """Core time of a minimal puzzle."""

    clues: int | None = None
    """Clues of every puzzle; null is minimal: no clue can be removed."""
    train_puzzles: int = 1000
    """Base training puzzles, before augmentation."""
    valid_puzzles: int = 256
    """Validation puzzles. All decisions of the search use them."""
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

    def estimate_seconds(self) -> float:
        """Estimate the time to generate all puzzles of the set on one core like the one measured."""
        if self.clues is None:
            each = self.minimal_milliseconds
        else:
            each = float(np.interp(self.clues, list(self.milliseconds), list(self.milliseconds.values())))
        return sum(self.sizes.values()) * each / 1e3

    def prepare(self, progress: Progress | None = None) -> Path:
        """Generate the set on the first call; one that takes long is announced first.

        Raises:
            DataError: there are too few different puzzles of this kind, or the cache cannot be written.
        """
        key = {
            "generator": VERSION,
            "name": self.name,
            "clues": self.clues,
            "seed": self.data_seed,
            **self.sizes,
        }
        return get_or_build(
            self.name, key, lambda folder: save_splits(_generate_splits(self, progress), folder)
        )

    def open(self, folder: Path) -> Dataset:
        return SudokuDataset(self, folder, self.supports_verdict)

    def get_model_fields(self) -> dict[str, int]:
        return get_model_fields(self.grid.num_cells)


RULES = (
    Rule(
        "name",
        lambda c: c.name == c.own_name,
        lambda c: f"must be {c.own_name!r} for a {c.grid.size}x{c.grid.size} grid",
    ),
    *at_least(1, "train_puzzles", "valid_puzzles", "test_puzzles"),
    *at_least(0, "data_seed"),
    Rule(
        "clues",
        lambda c: c.clues is None or c.fewest_clues <= c.clues < c.grid.num_cells,
        lambda c: f"must lie in {c.fewest_clues}..{c.grid.num_cells - 1} for {c.name}, or null for minimal",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Sudoku4Config(SudokuConfig):
    summary: ClassVar[str] = "4x4 Sudoku, minimal clues: smoke tests only, never a verdict"
    grid: ClassVar[Grid] = Grid(2, 2)
    supports_verdict: ClassVar[bool] = False
    fewest_clues: ClassVar[int] = 4
    milliseconds: ClassVar[dict[int, float]] = {4: 0.08, 6: 0.04, 10: 0.02}
    minimal_milliseconds: ClassVar[float] = 0.06
    name: str = "sudoku4"
    valid_puzzles: int = 64
    test_puzzles: int = 128


@dataclass(frozen=True, kw_only=True)
class Sudoku6Config(SudokuConfig):
    summary: ClassVar[str] = "6x6 Sudoku, 18 clues: shows differences between architectures within minutes"
    grid: ClassVar[Grid] = Grid(2, 3)
    fewest_clues: ClassVar[int] = 9
    milliseconds: ClassVar[dict[int, float]] = dict(
        zip((9, 10, 11, 12, 14, 18, 24, 30), (2.3, 0.43, 0.22, 0.17, 0.12, 0.11, 0.07, 0.05))
    )
    minimal_milliseconds: ClassVar[float] = 0.29
    name: str = "sudoku6"
    clues: int | None = 18


@dataclass(frozen=True, kw_only=True)
class Sudoku9Config(SudokuConfig):
    summary: ClassVar[str] = "9x9 Sudoku, 30 clues"
    grid: ClassVar[Grid] = Grid(3, 3)
    fewest_clues: ClassVar[int] = 23
    milliseconds: ClassVar[dict[int, float]] = dict(
        zip((23, 24, 25, 26, 28, 30, 34, 40, 60), (19.0, 6.1, 3.0, 1.8, 1.1, 1.0, 0.78, 0.60, 0.34))
    )
    minimal_milliseconds: ClassVar[float] = 4.6
    name: str = "sudoku9"
    clues: int | None = 30


def _generate_splits(config: SudokuConfig, progress: Progress | None) -> dict[str, Puzzles]:
    splitter, total = ClassSplitter(config.sizes), sum(config.sizes.values())
    chunks = []
    for puzzles, solutions in _generate_chunks(config, splitter):
        chunks.append((puzzles, solutions))
        splitter.offer(puzzles, compute_class_ids(puzzles, config.grid))
        if progress:
            progress(total - splitter.num_missing, total)
    if splitter.num_missing:
        found = {name: len(members) for name, members in splitter.chosen.items()}
        rule = f"only {found} different puzzles were found"
        hint = "Ask for fewer puzzles, or for other task.clues"
        raise DataError(f"task {config.name}", config.sizes, rule, hint)
    puzzles, solutions = (np.concatenate(arrays) for arrays in zip(*chunks))
    return {name: (puzzles[members], solutions[members]) for name, members in splitter.chosen.items()}


def _generate_chunks(config: SudokuConfig, splitter: ClassSplitter) -> Iterator[Puzzles]:
    """Yield puzzles 0, 1, 2, ... of the config's seed, until the splits are full or there is no hope.

    The splits depend on the order of the puzzles alone, so neither chunks nor processes change the result.
    """
    total, seconds = sum(config.sizes.values()), config.estimate_seconds()
    workers = max(1, min(count_cpus(), int(seconds / SECONDS_WORTH_A_PROCESS)))
    if seconds / workers > SECONDS_WORTH_A_MESSAGE:
        message = "Generating %d %s puzzles takes about %.0f s on %d core(s), once: they are cached."
        log.warning(message, total, config.name, seconds / workers, workers)
    work = functools.partial(generate_puzzles, config.grid, config.clues, config.data_seed)
    drawn = 0
    with _map_over_processes(workers) as run:
        while splitter.num_missing and drawn < MAX_DRAWS_PER_PUZZLE * total:
            draws = _choose_num_draws(total, splitter.num_missing, drawn)
            chunk = min(CHUNK, -(-draws // workers))
            indices = np.arange(drawn, drawn + draws)
            yield from run(work, [indices[start : start + chunk] for start in range(0, draws, chunk)])
            drawn += draws


def _choose_num_draws(total: int, missing: int, drawn: int) -> int:
    """Return how many puzzles to draw next: those missing, at the yield so far, and a few more."""
    if not drawn:
        return total
    expected = int(1.02 * missing * drawn / max(total - missing, 1))
    return min(max(expected, CHUNK // 16), MAX_DRAWS_PER_PUZZLE * total - drawn)


@contextmanager
def _map_over_processes(workers: int) -> Iterator[Callable[..., Iterator[Puzzles]]]:
    """Give a `map` over that many processes; the built-in one if one is enough."""
    if workers < 2:
        yield map
    else:
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            yield pool.map
