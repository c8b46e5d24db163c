"""Counts equal what the real model has, executes and keeps, to the unit, over random configs of each family."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from hrm.config.errors import ConfigError
from hrm.config.train_config import TrainConfig
from hrm.config.validation import construct_unvalidated, keeps_rules
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


def draw_fields(case: FamilyCase, data: st.DataObject) -> dict[str, Any]:
    """Return the fields of a valid config, some of them replaced by values within their rules and beyond."""
    values = {**case.numbers, **case.singles}
    changed = data.draw(st.sets(st.sampled_from(sorted(values)), max_size=4))
    return dataclasses.asdict(data.draw(case.configs)) | {name: data.draw(values[name]) for name in changed}


@in_every_family
@given(data=st.data())
def test_rules_are_what_the_constructor_checks(case: FamilyCase, data: st.DataObject) -> None:
    fields = draw_fields(case, data)
    unvalidated = construct_unvalidated(case.family.config_class, fields)
    try:
        config = case.family.config_class(**fields)
    except ConfigError:
        assert not keeps_rules(unvalidated, case.family.rules)
    else:
        assert keeps_rules(unvalidated, case.family.rules) and unvalidated == config


@in_every_family
def test_rules_about_one_field_read_no_other(case: FamilyCase) -> None:
    config = case.family.config_class()
    alone = [rule for rule in case.family.rules if rule.is_about_one_field]
    assert len(alone) > 10
    assert all(rule.holds(SimpleNamespace(**{rule.field: getattr(config, rule.field)})) for rule in alone)


@in_every_family
@given(data=st.data())
def test_one_architecture_has_one_cost(case: FamilyCase, data: st.DataObject) -> None:
    """But for the fields that change nothing else."""
    config, values = data.draw(case.configs), {**case.numbers, **case.singles}
    names = sorted(values.keys() - set(case.family.cost_only_fields))
    name = data.draw(st.sampled_from(names))
    changed = construct_unvalidated(case.family.config_class, vars(config) | {name: data.draw(values[name])})
    if keeps_rules(changed, case.family.rules) and changed.architecture == config.architecture:
        assert case.family.count(changed, 2) == case.family.count(config, 2)
    for name in case.family.cost_only_fields:
        changed = dataclasses.replace(config, **{name: not getattr(config, name)})
        assert changed.architecture == config.architecture
        assert case.family.count(changed, 2) != case.family.count(config, 2)


@in_every_family
@settings(max_examples=60)
@given(data=st.data())
def test_non_parametric_fields_change_no_parameter(case: FamilyCase, data: st.DataObject) -> None:
    config = data.draw(case.configs)
    name = data.draw(st.sampled_from(sorted(case.family.non_parametric_fields)))
    value = data.draw({**case.singles, **case.numbers}[name])
    changed = construct_unvalidated(case.family.config_class, vars(config) | {name: value})
    if keeps_rules(changed, case.family.rules):
        assert case.family.count(changed).params == case.family.count(config).params


@in_every_family
@settings(max_examples=30)
@given(data=st.data())
def test_a_wider_model_is_larger(case: FamilyCase, data: st.DataObject) -> None:
    config, width = data.draw(case.configs), case.family.width
    params = [
        case.family.count(construct_unvalidated(type(config), vars(config) | {width: each})).params
        for each in range(case.least_width, 400)
    ]
    assert all(after > before for before, after in itertools.pairwise(params))


@in_every_family
def test_every_field_has_values_to_test(case: FamilyCase) -> None:
    assert {*case.numbers, *case.singles} == set(case.family.config_class.__dataclass_fields__)
