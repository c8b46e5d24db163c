"""The generated Sudoku tasks: `sudoku4`, `sudoku6`, `sudoku9`."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from hrm.config.errors import DataError
from hrm.data.base import TaskKind
from hrm.data.cache import get_or_build
from hrm.data.sudoku import dataset as sudoku_dataset
from hrm.data.sudoku.config import (
    Sudoku4Config,
    Sudoku6Config,
    Sudoku9Config,
    SudokuConfig,
    estimate_seconds,
)
from hrm.data.sudoku.dataset import SudokuDataset
from hrm.data.sudoku.generator import VERSION, generate_puzzles
from hrm.data.sudoku.grid import ClassSplitter, compute_class_ids
from hrm.system.machine import count_cpus

SECONDS_WORTH_A_MESSAGE = 15.0
"""Sets that take longer say so first."""
SECONDS_WORTH_A_PROCESS = 1.5
"""Core seconds of work that repay the start of one more process."""
MOST_DRAWS_PER_PUZZLE = 20
"""Four times what the rarest allowed number of clues needs."""
CHUNK = 1024
"""Most puzzles made at once: more no longer speed numpy up."""

Progress = Callable[[int, int], None]
Puzzles = tuple[np.ndarray, np.ndarray]

log = logging.getLogger(__name__)


def prepare(config: SudokuConfig, progress: Progress | None = None) -> Path:
    """The folder of the generated set, made on the first call. Sets that take long say how long first.

    Args:
        config: what to generate.
        progress: called with puzzles done and wanted.

    Raises:
        DataError: there are too few different puzzles of this kind, or the cache cannot be written.
    """
    key = {
        "generator": VERSION,
        "name": config.name,
        "clues": config.clues,
        "seed": config.data_seed,
        **config.sizes,
    }

    def build(folder: Path) -> None:
        sudoku_dataset.save_splits(_generate_splits(config, progress), folder)

    return get_or_build(config.name, key, build)


def _generate_splits(config: SudokuConfig, progress: Progress | None) -> dict[str, Puzzles]:
    splitter = ClassSplitter(config.sizes)
    puzzles, solutions = [], []
    for chunk_puzzles, chunk_solutions in _stream(config, splitter):
        puzzles.append(chunk_puzzles)
        solutions.append(chunk_solutions)
        splitter.offer(chunk_puzzles, compute_class_ids(chunk_puzzles, config.grid))
        if progress:
            wanted = sum(config.sizes.values())
            progress(wanted - splitter.num_missing, wanted)
    if splitter.num_missing:
        found = {name: len(members) for name, members in splitter.chosen.items()}
        rule = f"only {found} different puzzles were found"
        hint = "Ask for fewer puzzles, or for other task.clues"
        raise DataError(f"task {config.name}", config.sizes, rule, hint)
    all_puzzles, all_solutions = np.concatenate(puzzles), np.concatenate(solutions)
    return {name: (all_puzzles[members], all_solutions[members]) for name, members in splitter.chosen.items()}


def _stream(config: SudokuConfig, splitter: ClassSplitter) -> Iterator[Puzzles]:
    """Puzzles 0, 1, 2, ... of the config's seed in chunks, until the splits are full or hope is gone.

    What the splits take depends on the order alone, so neither the chunks nor the workers change the result.
    """
    total = sum(config.sizes.values())
    seconds = estimate_seconds(config)
    workers = max(1, min(count_cpus(), int(seconds / SECONDS_WORTH_A_PROCESS)))
    if seconds / workers > SECONDS_WORTH_A_MESSAGE:
        message = "Generating %d %s puzzles takes about %.0f s on %d core(s), once: they are cached."
        log.warning(message, total, config.name, seconds / workers, workers)
    work = functools.partial(generate_puzzles, config.grid, config.clues, config.data_seed)
    drawn = 0
    with _mapper(workers) as run:
        while splitter.num_missing and drawn < MOST_DRAWS_PER_PUZZLE * total:
            draws = _num_draws(total, splitter.num_missing, drawn)
            chunk = min(CHUNK, -(-draws // workers))
            indices = np.arange(drawn, drawn + draws)
            yield from run(work, [indices[start : start + chunk] for start in range(0, draws, chunk)])
            drawn += draws


def _num_draws(total: int, missing: int, drawn: int) -> int:
    """How many to draw next: what is missing, at the yield so far, and a little more."""
    if not drawn:
        return total
    hoped = int(1.02 * missing * drawn / max(total - missing, 1))
    return min(max(hoped, CHUNK // 16), MOST_DRAWS_PER_PUZZLE * total - drawn)


@contextmanager
def _mapper(workers: int) -> Iterator[Callable[..., Iterator[Puzzles]]]:
    """A `map` over that many processes; the built-in one where one is enough."""
    if workers < 2:
        yield map
    else:
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            yield pool.map


def _counted_fields(config: SudokuConfig) -> dict[str, int]:
    return sudoku_dataset.get_model_fields(config.grid.num_cells)


def _kind(config_class: type[SudokuConfig], summary: str, supports_verdict: bool = True) -> TaskKind:
    return TaskKind(
        config_class=config_class,
        family="puzzle",
        prepare=prepare,
        open=functools.partial(SudokuDataset, supports_verdict=supports_verdict),
        summary=summary,
        counted_fields=_counted_fields,
    )


SUDOKU_KINDS: dict[str, TaskKind] = {
    "sudoku4": _kind(Sudoku4Config, "4x4 Sudoku, minimal clues: smoke tests only, never a verdict", False),
    "sudoku6": _kind(Sudoku6Config, "6x6 Sudoku, 18 clues: tells architectures apart within minutes"),
    "sudoku9": _kind(Sudoku9Config, "9x9 Sudoku, 30 clues"),
}
