"""Counts equal what the real model has, executes and keeps, to the unit, over random configs of each family."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from hrm.config.errors import ConfigError, UnknownNameError
from hrm.config.train_config import TrainConfig
from hrm.models.base import Model, TensorBatch
from hrm.models.layers import cast_weights
from hrm.training.optimizers import SparseSignSGD
from tests.hrm.family_cases import CASES, FamilyCase, get_weight_copies, kept_bytes, one_thread

in_every_family = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
batch_sizes = st.integers(1, 3)
emas = st.sampled_from([0.0, 0.9])


@pytest.fixture(autouse=True, scope="module")
def on_one_thread() -> Iterator[None]:
    with one_thread():
        yield


def num_bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def train_step(model: Model, batch: TensorBatch) -> None:
    _, loss, _ = model.train_segment(model.initial_carry(batch), batch)
    (loss / model.get_loss_weight(batch)).backward()


@in_every_family
@settings(max_examples=50)
@given(data=st.data())
def test_parameters_equal_the_built_models(case: FamilyCase, data: st.DataObject) -> None:
    config = data.draw(case.configs)
    counts, model = case.family.count(config), case.family.build(config)
    state = model.state_dict()
    puzzles = [tensor for name, tensor in state.items() if name.endswith("puzzle_emb.weights")]
    assert counts.trainable_params == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert counts.puzzle_embedding_params == sum(tensor.numel() for tensor in puzzles)
    assert counts.params + counts.buffers == sum(tensor.numel() for tensor in state.values())


@in_every_family
@settings(max_examples=30)  # torch's counter is slow
@given(data=st.data())
def test_flops_equal_torchs_counter(case: FamilyCase, data: st.DataObject) -> None:
    config, batch_size = data.draw(case.configs), data.draw(batch_sizes)
    counts, model = case.family.count(config, batch_size), case.family.build(config)
    batch = case.random_batch(config, batch_size)
    with sdpa_kernel(SDPBackend.MATH):
        with FlopCounterMode(display=False) as training:
            train_step(model, batch)
        assert counts.flops_per_step == training.get_total_flops()
        assert model.executed_flops in (None, counts.flops_per_step)
        with FlopCounterMode(display=False) as evaluation:
            model.evaluate_batch(batch)
        assert counts.eval_flops_per_batch == evaluation.get_total_flops()
        assert model.executed_flops in (None, counts.eval_flops_per_batch)
    assert (model.executed_flops is not None) == case.family.adaptive
    attention = training.get_flop_counts()["Global"].get(torch.ops.aten.bmm, 0)
    assert attention > 0, "attention was counted as nothing"


@in_every_family
@settings(max_examples=50)
@given(data=st.data())
def test_activation_bytes_equal_what_autograd_saves(case: FamilyCase, data: st.DataObject) -> None:
    config, batch_size = data.draw(case.configs), data.draw(batch_sizes)
    kept = kept_bytes(case.family.build(config), case.random_batch(config, batch_size))
    assert case.family.count(config, batch_size).activation_bytes == kept


@in_every_family
@settings(max_examples=50)
@given(data=st.data())
def test_weight_gradient_and_optimizer_bytes_equal_the_tensors(case: FamilyCase, data: st.DataObject) -> None:
    config = dataclasses.replace(data.draw(case.configs), **case.every_part_trains)
    batch_size, train = data.draw(batch_sizes), TrainConfig(ema=data.draw(emas))
    counts, model = case.family.count(config, batch_size, train), case.family.build(config)
    optimizers = model.build_optimizers(train)
    train_step(model, case.random_batch(config, batch_size))
    for optimizer in optimizers:
        optimizer.step()

    parameters = list(model.parameters())
    rows = [o.embedding.local_weights for o in optimizers if isinstance(o, SparseSignSGD)]
    gradients = [p.grad for p in (*parameters, *rows) if p is not None and p.grad is not None]
    states = [
        value
        for o in optimizers
        for state in o.state.values()
        for value in state.values()
        if isinstance(value, Tensor) and value.ndim
    ]
    cast_copy = 0
    with cast_weights(model, getattr(torch, config.forward_dtype)):
        if config.forward_dtype != "float32":
            cast_copy = num_bytes(get_weight_copies(model))

    assert counts.weight_bytes == num_bytes([*parameters, *model.buffers()]) + cast_copy
    assert counts.gradient_bytes == num_bytes(gradients)
    assert counts.optimizer_bytes == num_bytes(states) + (num_bytes(parameters) if train.ema else 0)


@in_every_family
@settings(max_examples=60)
@given(data=st.data())
def test_arrays_equal_scalars(case: FamilyCase, data: st.DataObject) -> None:
    many, batch_size = data.draw(st.lists(case.configs, min_size=1, max_size=6)), data.draw(batch_sizes)
    train = TrainConfig(ema=data.draw(emas), accumulation=3)
    fields = {field.name: [getattr(c, field.name) for c in many] for field in dataclasses.fields(many[0])}
    arrays = case.family.count_arrays(fields, batch_size, train)
    for i, config in enumerate(many):
        counts = case.family.count(config, batch_size, train)
        expected: dict[str, Any] = dataclasses.asdict(counts)
        expected |= {name: getattr(counts, name) for name in ("params", "total_bytes")}
        expected["inner_size"] = config.inner_size
        assert {name: int(values[i]) for name, values in arrays.items()} == expected


@in_every_family
def test_an_unknown_field_and_an_overflow_are_refused(case: FamilyCase) -> None:
    width, count_arrays = case.family.lattice.width, case.family.count_arrays
    with pytest.raises(UnknownNameError, match=f"Did you mean '{width}'"):
        count_arrays({width[:-1]: [64]})
    with pytest.raises(ConfigError, match="must stay below"):
        count_arrays({width: np.array([512, 2**22]), "seq_len": 2**12}, 2**20)
