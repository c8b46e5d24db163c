"""Reported parameters, memory and hours against exact counts."""

from __future__ import annotations

from typing import Any

import pytest

from hrm.config.presets import load_preset
from hrm.count import (
    check_reported_hours,
    check_reported_memory,
    estimate_by_size_guide,
    estimate_hours,
    find_preset_with_params,
)
from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.puzzle.counting import count
from hrm.models.registry import get_family
from hrm.models.text import counting as text_counting
from tests.hrm.models.text.conftest import small_config

PUZZLE, TEXT = get_family("puzzle"), get_family("text")


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
def test_the_size_guide_misses_what_it_does_not_know(fields: dict[str, Any], missing: int) -> None:
    config = tiny(**fields)
    assert count(config).params - estimate_by_size_guide(config) == missing


def test_reported_parameters_hold_for_every_model_of_that_size_and_no_other() -> None:
    preset = find_preset_with_params(
        PUZZLE, count(tiny(num_heads=8, H_cycles=3, forward_dtype="float32")).params
    )
    assert preset is not None and preset.name == "tiny_demo"
    for fields in ({"H_layers": 2}, {"vocab_size": 12}, {"pos_encodings": "learned"}, {"puzzle_emb_ndim": 0}):
        assert find_preset_with_params(PUZZLE, count(tiny(**fields)).params) is None


def test_the_error_of_a_range_is_from_its_nearer_end() -> None:
    preset = load_preset("small_custom")  # ~7–8M
    assert preset.compare_params(7_500_000) == 0
    assert preset.compare_params(8_800_000) == pytest.approx(0.1)
    assert preset.compare_params(6_300_000) == pytest.approx(-0.1)


def test_hours_are_flops_of_the_tokens_over_the_rate() -> None:
    config, tokens = small_config(), 1e10
    least, most = estimate_hours(TEXT, config, tokens)
    sequences, rate = tokens / config.seq_len, 312e12 * 0.4 * 3600
    assert most == pytest.approx(text_counting.count(config).flops_per_step * sequences / rate)
    assert least == pytest.approx(text_counting.count_min_training_flops(config, 1) * sequences / rate)
    assert least < most


@pytest.mark.parametrize(
    ("reported", "verdict"),
    [("1-1.5", "no: at least 2 times that"), ("10-20", "yes: at most 8 hours"), ("1-4", "plausible")],
)
def test_verdicts_on_hours(reported: str, verdict: str) -> None:
    assert check_reported_hours(3, 8, reported) == verdict


def test_verdicts_on_memory() -> None:
    assert check_reported_memory(4 * 10**9, "2-4") == "yes"
    assert check_reported_memory(int(10.9e9), "8") == "no: it takes 11 GB"
    assert check_reported_memory(97 * 10**9, "16+") == "at least: it takes 97 GB"
