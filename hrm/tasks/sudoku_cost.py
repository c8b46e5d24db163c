"""What it costs to generate puzzles, from measured rates."""

from __future__ import annotations

import os

import numpy as np

from hrm.tasks.sudoku_config import SudokuConfig

MILLISECONDS: dict[str, dict[int, float]] = {
    "sudoku4": {4: 0.18, 6: 0.07, 10: 0.02},
    "sudoku6": {9: 3.9, 10: 0.92, 11: 0.61, 12: 0.48, 14: 0.36, 18: 0.20, 30: 0.18},
    "sudoku9": {23: 36.0, 24: 11.0, 25: 5.3, 26: 4.0, 28: 2.6, 30: 1.8, 34: 1.0, 40: 0.68, 60: 0.43},
}
"""Core time of a puzzle by clues, rejected draws included: of 1,024 draws on one core of a busy server."""
MINIMAL_MILLISECONDS = {"sudoku4": 0.10, "sudoku6": 0.81, "sudoku9": 6.0}


def estimated_seconds(config: SudokuConfig) -> float:
    """Core seconds that it takes to generate the set: all its puzzles, on one core like the one measured."""
    if config.clues is None:
        each = MINIMAL_MILLISECONDS[config.name]
    else:
        rates = MILLISECONDS[config.name]
        each = float(np.interp(config.clues, list(rates), list(rates.values())))
    return sum(config.sizes.values()) * each / 1e3


def num_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
