"""What it costs to generate puzzles, from measured rates."""

from __future__ import annotations

import numpy as np

from hrm.tasks.sudoku_config import SudokuConfig

MILLISECONDS: dict[str, dict[int, float]] = {
    "sudoku4": {4: 0.08, 6: 0.04, 10: 0.02},
    "sudoku6": {9: 2.3, 10: 0.43, 11: 0.22, 12: 0.17, 14: 0.12, 18: 0.11, 24: 0.07, 30: 0.05},
    "sudoku9": {23: 19.0, 24: 6.1, 25: 3.0, 26: 1.8, 28: 1.1, 30: 1.0, 34: 0.78, 40: 0.60, 60: 0.34},
}
"""Core time of a puzzle by clues, rejected draws included: of 1,024 draws on one busy core (Intel Xeon)."""
MINIMAL_MILLISECONDS = {"sudoku4": 0.06, "sudoku6": 0.29, "sudoku9": 4.6}


def estimated_seconds(config: SudokuConfig) -> float:
    """Core seconds that it takes to generate the set: all its puzzles, on one core like the one measured."""
    if config.clues is None:
        each = MINIMAL_MILLISECONDS[config.name]
    else:
        rates = MILLISECONDS[config.name]
        each = float(np.interp(config.clues, list(rates), list(rates.values())))
    return sum(config.sizes.values()) * each / 1e3
