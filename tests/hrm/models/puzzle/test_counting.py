"""Counts of puzzle HRMs: golden figures, arrays of many shapes, and beyond int64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hrm.config.presets import load_preset
from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.puzzle.counting import count, count_arrays


def test_missing_fields_have_their_defaults_and_fields_broadcast() -> None:
    arrays = count_arrays({"hidden_size": np.array([[256], [512]]), "H_layers": np.arange(1, 4)}, 8)
    assert arrays["params"].shape == arrays["buffers"].shape == (2, 3)
    assert arrays["params"].dtype == arrays["flops_per_step"].dtype == np.int64
    assert arrays["params"][1, 2] == count(PuzzleHRMConfig(H_layers=3)).params
    assert count_arrays({})["params"] == count(PuzzleHRMConfig()).params


def test_many_configs_at_once_equal_few_at_a_time() -> None:
    widths = 16 * np.random.default_rng(0).integers(1, 64, (3, 20_000))
    periods = np.array([[None], [1], [5]])
    together = count_arrays({"hidden_size": widths, "h_update_period": periods}, 8)
    for row, period in enumerate((None, 1, 5)):
        for part in np.arange(20_000).reshape(20, -1):
            alone = count_arrays({"hidden_size": widths[row, part], "h_update_period": period}, 8)
            for name, values in alone.items():
                np.testing.assert_array_equal(together[name][row, part], values)


def test_scalars_stay_exact_beyond_int64() -> None:
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
