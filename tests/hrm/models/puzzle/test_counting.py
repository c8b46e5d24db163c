"""Counts of puzzle HRMs: golden numbers, and beyond int64."""

from __future__ import annotations

from typing import Any

import pytest

from hrm.config.presets import load_preset
from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.puzzle.counting import count


def test_counts_stay_exact_beyond_int64() -> None:
    huge: dict[str, Any] = {"hidden_size": 2**21, "H_layers": 2**12, "seq_len": 2**12}
    assert count(PuzzleHRMConfig(**huge), 1024).flops_per_step > 2**63


GOLDEN = [  # counted on the official code; vocabulary 11
    ("tiny_demo", 527_362),
    ("small_sudoku", 3_414_018),
    ("base_default", 27_275_266),
    ("small_custom", 10_626_050),
    ("larger_85m", 84_953_090),
]


@pytest.mark.parametrize(("preset", "trainable"), GOLDEN)
def test_golden_parameter_counts(preset: str, trainable: int) -> None:
    config = PuzzleHRMConfig(**load_preset(preset).model)
    counts = count(config)
    assert (counts.trainable_params, counts.puzzle_embedding_params) == (trainable, config.hidden_size)
