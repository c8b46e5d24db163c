"""Counts equal what the real model has, executes and keeps, to the unit, over random configs."""

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

from hrm.casting import Casting
from hrm.errors import ConfigError, UnknownNameError
from hrm.model import TensorBatch
from hrm.presets import load_preset
from hrm.puzzle.config import LOSS_TYPES, POS_ENCODINGS, PuzzleHRMConfig
from hrm.puzzle.counting import count, count_arrays
from hrm.puzzle.model import PuzzleHRM
from hrm.train_config import TrainConfig


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Models this small are slower on several."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)


@st.composite
def configs(draw: st.DrawFn) -> PuzzleHRMConfig:
    """Small valid configs that reach every branch of the formulas."""
    num_heads = draw(st.integers(1, 3))
    hidden_size = num_heads * draw(st.sampled_from([2, 4, 6, 8]))
    return PuzzleHRMConfig(
        hidden_size=hidden_size,
        num_heads=num_heads,
        H_layers=draw(st.integers(1, 3)),
        L_layers=draw(st.integers(1, 3)),
        H_cycles=draw(st.integers(1, 3)),
        L_cycles=draw(st.integers(1, 3)),
        h_update_period=draw(st.none() | st.integers(1, 11)),
        expansion=draw(st.floats(0.5, 5)),
        mlp_multiple=draw(st.sampled_from([1, 8, 32])),
        puzzle_emb_ndim=draw(st.none() | st.just(0) | st.integers(1, 3 * hidden_size)),
        pos_encodings=draw(st.sampled_from(POS_ENCODINGS)),
        halt_max_steps=draw(st.integers(1, 3)),
        q_continue=draw(st.booleans()),
        gradient_L_steps=draw(st.integers(1, 10)),
        loss_type=draw(st.sampled_from(LOSS_TYPES)),
        forward_dtype=draw(st.sampled_from(["float32", "bfloat16"])),
        vocab_size=draw(st.integers(2, 12)),
        seq_len=draw(st.integers(1, 9)),
        num_puzzle_identifiers=draw(st.integers(1, 4)),
    )


batch_sizes = st.integers(1, 3)
on_real_models = settings(max_examples=50, deadline=None)


def random_batch(config: PuzzleHRMConfig, batch_size: int) -> TensorBatch:
    shape = (batch_size, config.seq_len)
    return {
        "inputs": torch.randint(config.vocab_size, shape, dtype=torch.int32),
        "labels": torch.randint(config.vocab_size, shape, dtype=torch.int32),
        "puzzle_identifiers": torch.randint(config.num_puzzle_identifiers, (batch_size,), dtype=torch.int32),
    }


def num_bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def train_step(model: PuzzleHRM, batch: TensorBatch) -> None:
    _, loss, _ = model.train_segment(model.initial_carry(batch), batch)
    loss.backward()


def executed_flops(model: PuzzleHRM, batch: TensorBatch) -> tuple[int, int, int]:
    """FLOPs of a training step, of an evaluation batch, and of the step's batched products (attention)."""
    with sdpa_kernel(SDPBackend.MATH):
        with FlopCounterMode(display=False) as training:
            train_step(model, batch)
        with FlopCounterMode(display=False) as evaluation:
            model.evaluate_batch(batch)
    attention = training.get_flop_counts()["Global"].get(torch.ops.aten.bmm, 0)
    return training.get_total_flops(), evaluation.get_total_flops(), attention


def kept_bytes(model: PuzzleHRM, batch: TensorBatch) -> int:
    """Bytes of every storage that autograd saves in one training segment, weights and tables apart."""
    apart = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    saved: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        cast = [
            lent for layer in model.modules() if isinstance(layer, Casting) for lent in layer._lent.values()
        ]
        pointer = tensor.untyped_storage().data_ptr()
        if pointer not in apart and pointer not in {lent.untyped_storage().data_ptr() for lent in cast}:
            saved[pointer] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model.train_segment(model.initial_carry(batch), batch)
    return sum(tensor.untyped_storage().nbytes() for tensor in saved.values())


@on_real_models
@given(configs(), batch_sizes)
def test_parameters_equal_the_built_models(config: PuzzleHRMConfig, batch_size: int) -> None:
    counts, model = count(config, batch_size), PuzzleHRM(config)
    state = model.inner.state_dict()
    puzzle = state["puzzle_emb.weights"].numel() if config.puzzle_embedding_size else 0
    assert counts.trainable_params == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert counts.puzzle_embedding_params == puzzle
    assert counts.params + counts.buffers == sum(tensor.numel() for tensor in state.values())


@settings(max_examples=30, deadline=None)  # torch's counter is slow
@given(configs(), batch_sizes)
def test_flops_equal_torchs_counter(config: PuzzleHRMConfig, batch_size: int) -> None:
    counts = count(config, batch_size)
    training, evaluation, attention = executed_flops(PuzzleHRM(config), random_batch(config, batch_size))
    assert counts.flops_per_step == training
    assert counts.eval_flops_per_batch == evaluation
    assert attention > 0, "attention was counted as nothing"


@on_real_models
@given(configs(), batch_sizes)
def test_activation_bytes_equal_what_autograd_saves(config: PuzzleHRMConfig, batch_size: int) -> None:
    kept = kept_bytes(PuzzleHRM(config), random_batch(config, batch_size))
    assert count(config, batch_size).activation_bytes == kept


@on_real_models
@given(configs(), batch_sizes, st.sampled_from([0.0, 0.9]))
def test_weight_gradient_and_optimizer_bytes_equal_the_tensors(
    config: PuzzleHRMConfig, batch_size: int, ema: float
) -> None:
    train = TrainConfig(ema=ema)
    counts, model = count(config, batch_size, train), PuzzleHRM(config)
    optimizers = model.optimizers(train)
    train_step(model, random_batch(config, batch_size))
    for optimizer in optimizers:
        optimizer.step()

    parameters = list(model.parameters())
    embedding = model.inner.puzzle_emb
    rows = [] if embedding is None or embedding.local_weights is None else [embedding.local_weights]
    gradients = [p.grad for p in (*parameters, *rows) if p.grad is not None]
    states = [
        value for o in optimizers for state in o.state.values() for value in state.values()
        if isinstance(value, Tensor) and value.ndim
    ]  # fmt: skip
    cast_copy = 0
    with model.inner.cast_weights():
        if config.forward_dtype != "float32":
            layers = [layer for layer in model.modules() if isinstance(layer, Casting)]
            cast_copy = num_bytes([lent for layer in layers for lent in layer._lent.values()])

    assert counts.weight_bytes == num_bytes([*parameters, *model.buffers()]) + cast_copy
    assert counts.gradient_bytes == num_bytes(gradients)
    assert counts.optimizer_bytes == num_bytes(states) + (num_bytes(parameters) if ema else 0)


@settings(max_examples=60, deadline=None)
@given(st.lists(configs(), min_size=1, max_size=6), batch_sizes, st.sampled_from([0.0, 0.9]))
def test_arrays_equal_scalars(many: list[PuzzleHRMConfig], batch_size: int, ema: float) -> None:
    train = TrainConfig(ema=ema)
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


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'hidden_size'"):
        count_arrays({"hiden_size": [64]})


def test_counts_beyond_int64_are_refused_and_scalars_stay_exact() -> None:
    huge: dict[str, Any] = {"hidden_size": 2**21, "H_layers": 2**12, "seq_len": 2**12}
    with pytest.raises(ConfigError, match="must stay below"):
        count_arrays({**huge, "hidden_size": [512, 2**21]}, 1024)
    assert count(PuzzleHRMConfig(**huge), 1024).flops_per_step > 2**63


GOLDEN = [  # counted on the official code; vocabulary 11, one puzzle, puzzle_emb_ndim = hidden_size
    ("tiny_demo", 527_362, 527_490),
    ("small_sudoku", 3_414_018, 3_414_274),
    ("base_default", 27_275_266, 27_275_778),
    ("small_custom", 10_626_050, 10_626_434),
    ("larger_85m", 84_953_090, 84_953_858),
]


@pytest.mark.parametrize(("preset", "trainable", "params"), GOLDEN)
def test_golden_parameter_counts(preset: str, trainable: int, params: int) -> None:
    counts = count(PuzzleHRMConfig(**load_preset(preset).model))
    assert (counts.trainable_params, counts.params) == (trainable, params)
