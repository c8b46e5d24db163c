"""Counts equal what the real model has, executes and keeps, to the unit, over random configs."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from hrm.casting import Casting, cast_once
from hrm.errors import ConfigError, UnknownNameError
from hrm.model import TensorBatch
from hrm.text.config import TextHRMConfig
from hrm.text.counting import (
    calls_of,
    count,
    count_arrays,
    executed_training_flops,
    expected_training_flops,
    fewest_training_flops,
    sizes_of,
)
from hrm.text.formulas import training_flops
from hrm.text.model import TextHRM
from hrm.train_config import TrainConfig
from tests.hrm.text.conftest import lively_model, random_batch, small_config

DOCUMENTED = [
    ({}, 50_398_872),
    ({"n_embd": 768, "n_head": 12, "n_layers": 16, "d_ff": 3072}, 329_094_960),
    ({"n_embd": 1536, "n_head": 24, "n_layers": 24, "d_ff": 6144}, 1_875_657_288),
]


@st.composite
def configs(draw: st.DrawFn) -> TextHRMConfig:
    """Small valid configs that reach every branch of the formulas."""
    n_head = draw(st.integers(1, 3))
    return TextHRMConfig(
        n_embd=n_head * draw(st.sampled_from([4, 6, 8])),
        n_head=n_head,
        n_layers=draw(st.integers(1, 3)),
        d_ff=draw(st.none() | st.integers(2, 40)),
        halt_max_steps=draw(st.integers(1, 5)),
        h_update_period=draw(st.integers(1, 6)),
        dropout=draw(st.sampled_from([0.0, 0.2])),
        forward_dtype=draw(st.sampled_from(["float32", "bfloat16"])),
        vocab_size=draw(st.integers(2, 12)),
        seq_len=draw(st.integers(2, 9)),
    )


batch_sizes = st.integers(1, 3)


def num_bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def train_step(model: TextHRM, batch: TensorBatch) -> None:
    _, loss, _ = model.train_segment({}, batch)
    (loss / model.loss_weight(batch)).backward()


def kept_bytes(model: TextHRM, batch: TensorBatch) -> int:
    """Bytes of every storage that autograd saves in one pass, weights and tables apart."""
    apart = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    saved: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        layers = [layer for layer in model.modules() if isinstance(layer, Casting)]
        cast = {lent.untyped_storage().data_ptr() for layer in layers for lent in layer._lent.values()}
        if tensor.untyped_storage().data_ptr() not in apart | cast:
            saved[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model.train_segment({}, batch)
    return sum(tensor.untyped_storage().nbytes() for tensor in saved.values())


@pytest.mark.parametrize(("fields", "params"), DOCUMENTED)
def test_the_documented_models_weigh_what_the_originals_do(fields: dict[str, Any], params: int) -> None:
    config = TextHRMConfig(**fields)
    assert count(config).params == count(config).trainable_params == params
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in TextHRM(config).parameters()) == params


@settings(max_examples=40, deadline=None)
@given(configs())
def test_parameters_equal_the_built_models(config: TextHRMConfig) -> None:
    model = TextHRM(config)
    assert count(config).params == sum(parameter.numel() for parameter in model.parameters())
    assert count(config).buffers == 0 == len(set(model.state_dict()) - set(dict(model.named_parameters())))


@settings(max_examples=25, deadline=None)  # torch's counter is slow
@given(configs(), batch_sizes)
def test_flops_equal_torchs_counter(config: TextHRMConfig, batch_size: int) -> None:
    model, batch = TextHRM(config), random_batch(config, batch_size)
    counts = count(config, batch_size)
    with sdpa_kernel(SDPBackend.MATH):
        with FlopCounterMode(display=False) as training:
            train_step(model, batch)
        assert training.get_total_flops() == model.executed_flops == counts.flops_per_step
        with FlopCounterMode(display=False) as evaluation:
            model.evaluate_batch(batch)
        assert evaluation.get_total_flops() == model.executed_flops == counts.eval_flops_per_batch


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("period", [1, 2])
def test_early_halts_cost_what_they_execute(seed: int, period: int) -> None:
    model = lively_model(seed, h_update_period=period, halt_max_steps=5, halt_epsilon=0.4, n_layers=3)
    batch = random_batch(model.config, 1, 2)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        train_step(model, batch)
    assert counter.get_total_flops() == model.executed_flops
    whole = dataclasses.replace(model.config, seq_len=2)
    assert model.executed_flops is not None
    assert fewest_training_flops(whole, 1) <= model.executed_flops < count(whole, 1).flops_per_step


@settings(max_examples=40, deadline=None)
@given(configs(), batch_sizes, st.booleans())
def test_activations_equal_what_autograd_keeps(
    config: TextHRMConfig, batch_size: int, checkpointing: bool
) -> None:
    config = dataclasses.replace(config, gradient_checkpointing=checkpointing)
    model, batch = TextHRM(config), random_batch(config, batch_size)
    assert count(config, batch_size).activation_bytes == kept_bytes(model, batch)


@settings(max_examples=20, deadline=None)
@given(configs(), st.sampled_from([0.0, 0.9]))
def test_bytes_of_weights_gradients_and_optimizer(config: TextHRMConfig, ema: float) -> None:
    train = TrainConfig(ema=ema)
    counts, model = (
        count(config, 2, train),
        TextHRM(dataclasses.replace(config, halt_max_steps=5, h_update_period=2)),
    )
    (optimizer,) = model.optimizers(train)
    train_step(model, random_batch(config, 2))
    optimizer.step()
    parameters = list(model.parameters())
    states = [
        value for state in optimizer.state.values() for value in state.values()
        if isinstance(value, Tensor) and value.ndim
    ]  # fmt: skip
    cast_copy = 0
    with cast_once(model, model.dtype):
        if config.forward_dtype != "float32":
            layers = [layer for layer in model.modules() if isinstance(layer, Casting)]
            cast_copy = num_bytes([lent for layer in layers for lent in layer._lent.values()])
    assert counts.weight_bytes == num_bytes([*parameters, *model.buffers()]) + cast_copy
    assert counts.gradient_bytes == num_bytes([p.grad for p in parameters if p.grad is not None])
    assert counts.optimizer_bytes == num_bytes(states) + (num_bytes(parameters) if ema else 0)


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
        math.prod(exits[k] for k in tokens) * executed_training_flops(config, 2, 2, [max(tokens)])
        for tokens in itertools.product(exits, repeat=4)
    )
    assert expected_training_flops(config, 2, chances) == pytest.approx(mean)


def test_steps_cost_what_they_add() -> None:
    config = small_config(halt_max_steps=5, h_update_period=2)
    s = sizes_of(config)
    costs = [training_flops(s, 3, calls_of(s, [k, 3])) for k in (1, 2, 3)]
    assert calls_of(s, [1, 2]) == (6, 3, 3)
    assert calls_of(s, [3, 3]) == (10, 6, 4)
    assert costs[0] < costs[1] < costs[2] == count(config, 3).flops_per_step


@settings(max_examples=40, deadline=None)
@given(st.lists(configs(), min_size=1, max_size=6), batch_sizes, st.sampled_from([0.0, 0.9]))
def test_arrays_equal_scalars(many: list[TextHRMConfig], batch_size: int, ema: float) -> None:
    train = TrainConfig(ema=ema, accumulation=3)
    fields = {field.name: [getattr(c, field.name) for c in many] for field in dataclasses.fields(many[0])}
    arrays = count_arrays(fields, batch_size, train)
    for i, config in enumerate(many):
        counts = count(config, batch_size, train)
        expected: dict[str, Any] = dataclasses.asdict(counts)
        expected |= {
            "params": counts.params,
            "total_bytes": counts.total_bytes,
            "inner_size": config.inner_size,
        }
        assert {name: int(values[i]) for name, values in arrays.items()} == expected


def test_an_unknown_field_and_an_overflow_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'n_embd'"):
        count_arrays({"n_emb": [64]})
    with pytest.raises(ConfigError, match="must stay below"):
        count_arrays({"n_embd": np.array([512, 2**22]), "n_layers": 2**12}, 1024)
