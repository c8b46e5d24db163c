"""Reported parameters, memory and hours against exact counts."""

from __future__ import annotations

from typing import Any

import pytest

from hrm.config.presets import DocumentedSettings, Preset, load_preset
from hrm.models.count_table import (
    C4_TOKENS,
    estimate_by_size_guide,
    estimate_training_time,
    find_preset_with_params,
    judge_memory,
)
from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.puzzle.counting import count
from hrm.models.registry import get_family
from hrm.models.text import counting as text_counting
from tests.hrm.models.text.conftest import SMALL, small_config

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


def documented(**settings: Any) -> Preset:
    names = {"output_dir": "{dataset}", "hub_repo": "{dataset}"}
    return Preset(name="x", family="text", model=SMALL, documented=DocumentedSettings(**names, **settings))


def test_time_is_flops_of_the_tokens_over_the_rate() -> None:
    config = small_config()
    preset = documented(epochs=2, subset_percent=10, training_hours="1-2")
    time = estimate_training_time(TEXT, preset, config)
    assert time is not None
    assert time.tokens == pytest.approx(0.2 * C4_TOKENS)
    sequences, rate = time.tokens / config.seq_len, 312e12 * 0.4 * 3600
    assert time.max_hours == pytest.approx(text_counting.count(config).flops_per_step * sequences / rate)
    assert time.min_hours == pytest.approx(
        text_counting.count_min_training_flops(config, 1) * sequences / rate
    )
    assert time.min_hours < time.max_hours
    assert estimate_training_time(TEXT, documented(), config) is None


@pytest.mark.parametrize(
    ("reported", "verdict"),
    [("0.00001", "no: at least"), ("1000000-2000000", "yes: at most"), ("0.00001-1000000", "plausible")],
)
def test_verdicts_on_time(reported: str, verdict: str) -> None:
    time = estimate_training_time(TEXT, documented(training_hours=reported), small_config())
    assert time is not None and time.verdict.startswith(verdict)


def test_verdicts_on_memory() -> None:
    assert judge_memory(4 * 10**9, "2-4") == "yes"
    assert judge_memory(int(10.9e9), "8") == "no: it takes 11 GB"
    assert judge_memory(97 * 10**9, "16+") == "at least: it takes 97 GB"
