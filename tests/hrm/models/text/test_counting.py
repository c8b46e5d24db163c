"""Counts of text HRMs: halting, accumulation, checkpointing."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from hrm.config.train_config import TrainConfig
from hrm.models.text.config import TextHRMConfig
from hrm.models.text.counting import (
    compute_expected_training_flops,
    count,
    count_calls,
    count_executed_training_flops,
    count_min_training_flops,
    count_training_flops,
    get_sizes,
)
from hrm.models.text.model import TextHRM
from tests.hrm.family_cases import kept_bytes, text_configs
from tests.hrm.models.text.conftest import lively_model, random_batch, small_config


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("period", [1, 2])
def test_early_halts_cost_what_they_execute(seed: int, period: int) -> None:
    model = lively_model(seed, h_update_period=period, halt_max_steps=5, halt_epsilon=0.4, n_layers=3)
    batch = random_batch(model.config, 1, 2)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        _, loss, _ = model.train_segment({}, batch)
        loss.backward()
    assert counter.get_total_flops() == model.executed_flops
    whole = dataclasses.replace(model.config, seq_len=2)
    assert model.executed_flops is not None
    assert count_min_training_flops(whole, 1) <= model.executed_flops < count(whole, 1).flops_per_step


@settings(max_examples=25)
@given(text_configs(), st.integers(1, 3))
def test_checkpointing_keeps_what_is_counted(config: TextHRMConfig, batch_size: int) -> None:
    config = dataclasses.replace(config, gradient_checkpointing=True)
    kept = kept_bytes(TextHRM(config), random_batch(config, batch_size))
    assert count(config, batch_size).activation_bytes == kept


def test_accumulation_multiplies_the_step_and_not_the_memory() -> None:
    config = small_config()
    one, eight = count(config, 4), count(config, 4, TrainConfig(accumulation=8))
    assert eight.flops_per_step == 8 * one.flops_per_step == count(config, 32).flops_per_step
    assert eight.total_bytes == one.total_bytes


@pytest.mark.parametrize("chances", [(0.0, 0.0), (1.0, 1.0), (0.3, 0.6), (0.0, 1.0)])
def test_expected_flops_equal_the_mean_over_all_outcomes(chances: tuple[float, float]) -> None:
    config = small_config(halt_max_steps=5, h_update_period=2, seq_len=2, n_layers=1)
    exits = {1: chances[0], 2: (1 - chances[0]) * chances[1], 3: (1 - chances[0]) * (1 - chances[1])}
    mean = sum(
        math.prod(exits[k] for k in tokens) * count_executed_training_flops(config, 2, 2, [max(tokens)])
        for tokens in itertools.product(exits, repeat=4)
    )
    assert compute_expected_training_flops(config, 2, chances) == pytest.approx(mean)


def test_steps_cost_what_they_add() -> None:
    config = small_config(halt_max_steps=5, h_update_period=2)
    s = get_sizes(config)
    costs = [count_training_flops(s, 3, count_calls(s, [k, 3])) for k in (1, 2, 3)]
    assert count_calls(s, [1, 2]) == (6, 3, 3)
    assert count_calls(s, [3, 3]) == (10, 6, 4)
    assert costs[0] < costs[1] < costs[2] == count(config, 3).flops_per_step
