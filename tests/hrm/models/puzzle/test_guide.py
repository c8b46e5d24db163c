from __future__ import annotations

from typing import Any

import pytest

from hrm.config.presets import load_preset
from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.puzzle.count_table import claimed, estimate
from hrm.models.puzzle.counting import count


def tiny(**fields: Any) -> PuzzleHRMConfig:
    return PuzzleHRMConfig(**{**load_preset("tiny_demo").model, **fields})


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ({}, 2),  # the biases of the Q head
        ({"puzzle_emb_ndim": 0}, 2),
        ({"num_puzzle_identifiers": 1000}, 2),
        ({"pos_encodings": "learned"}, 2 + (81 + 1) * 128),
        ({"puzzle_emb_ndim": 256, "num_puzzle_identifiers": 3}, 2 + 3 * 128),
        ({"mlp_multiple": 32}, 2 - 2 * 3 * 128 * (512 - 352)),  # it knows the multiple 256 alone
    ],
)
def test_what_the_estimator_misses(fields: dict[str, Any], missing: int) -> None:
    config = tiny(**fields)
    assert count(config).params - estimate(config) == missing


def test_a_claim_covers_every_model_of_its_shape_and_no_other() -> None:
    preset = claimed(tiny(num_heads=8, H_cycles=3, forward_dtype="float32"))
    assert preset is not None and preset.name == "tiny_demo"
    for fields in ({"H_layers": 2}, {"vocab_size": 12}, {"pos_encodings": "learned"}, {"puzzle_emb_ndim": 0}):
        assert claimed(tiny(**fields)) is None


def test_the_error_of_a_range_is_from_its_nearer_end() -> None:
    preset = load_preset("small_custom")  # ~7–8M
    assert preset.claim_error(7_500_000) == 0
    assert preset.claim_error(8_800_000) == pytest.approx(0.1)
    assert preset.claim_error(6_300_000) == pytest.approx(-0.1)
