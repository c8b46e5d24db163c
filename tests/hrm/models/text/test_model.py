"""The text HRM as a language model: what each logit depends on, and what it must never depend on."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hrm.config.presets import load_preset
from hrm.data.base import IGNORED_LABEL
from hrm.models.layers import plan_h_updates
from hrm.models.text.config import TextHRMConfig
from hrm.models.text.layers import KeyValueCache, normalize
from hrm.models.text.model import EMBEDDING_STD, TextHRM
from tests.hrm.models.text.conftest import lively_model, random_batch, small_config, small_model

CLOSE = {"rtol": 1e-4, "atol": 1e-4}


def logits_of(model: TextHRM, inputs: Tensor, real: Tensor | None = None) -> Tensor:
    with torch.no_grad():
        return model(inputs, real)[0]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), cut=st.integers(1, 11), period=st.integers(1, 4))
def test_no_logit_depends_on_what_comes_after_it(seed: int, cut: int, period: int) -> None:
    model = lively_model(seed, h_update_period=period)
    inputs = random_batch(model.config)["inputs"]
    changed = inputs.clone()
    changed[:, cut:] = (changed[:, cut:] + 1) % model.config.vocab_size
    before, after = logits_of(model, inputs), logits_of(model, changed)
    assert torch.equal(before[:, :cut], after[:, :cut])
    assert not torch.allclose(before[:, cut:], after[:, cut:], atol=1e-3)


def test_no_sequence_depends_on_its_batch() -> None:
    model = lively_model()
    inputs = random_batch(model.config, 4)["inputs"]
    alone = torch.cat([logits_of(model, inputs[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(logits_of(model, inputs), alone, **CLOSE)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("num_pads", [1, 5])
def test_left_and_right_padding_change_no_logit(seed: int, num_pads: int) -> None:
    model = lively_model(seed)
    inputs = random_batch(model.config, 2, 7)["inputs"]
    expected = logits_of(model, inputs)
    pads = torch.full((2, num_pads), 3, dtype=torch.int32)
    real = torch.cat((torch.ones(2, 7), torch.zeros(2, num_pads)), 1).bool()
    right = logits_of(model, torch.cat((inputs, pads), 1), real)
    left = logits_of(model, torch.cat((pads, inputs), 1), real.flip(1))
    torch.testing.assert_close(right[:, :7], expected, **CLOSE)
    torch.testing.assert_close(left[:, num_pads:], expected, **CLOSE)
    assert left.isfinite().all() and right.isfinite().all()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("first", [1, 5, 12])
def test_a_cached_decode_equals_the_full_forward(seed: int, first: int) -> None:
    model = lively_model(seed, halt_epsilon=0.3)
    inputs = random_batch(model.config, 2)["inputs"]
    cache = KeyValueCache()
    with torch.no_grad():
        parts = [model(inputs[:, :first], cache=cache)[0]]
        parts += [model(inputs[:, t : t + 1], cache=cache)[0] for t in range(first, inputs.shape[1])]
    assert len(cache) == inputs.shape[1]
    torch.testing.assert_close(torch.cat(parts, 1), logits_of(model, inputs), **CLOSE)


@pytest.mark.parametrize("vocab_size", [258, 4096, 32128])
@pytest.mark.parametrize("width", [64, 384])
def test_the_first_loss_is_that_of_knowing_nothing(vocab_size: int, width: int) -> None:
    model = small_model(vocab_size=vocab_size, n_embd=width, n_head=2, seq_len=32)
    sums = model.evaluate_batch(random_batch(model.config, 4))
    loss = model.compute_metrics({name: float(value) for name, value in sums.items()})["loss"]
    assert loss == pytest.approx(math.log(vocab_size), rel=0.05)


@pytest.mark.parametrize("preset", ["text_1m", "text_tiny_50m", "text_medium_350m", "text_large_1b"])
def test_activations_stay_bounded_over_all_layers_and_steps(preset: str) -> None:
    """At the documented depths, steps and periods, at a width that a test can afford."""
    fields = load_preset(preset).model | {
        "n_embd": 32,
        "n_head": 2,
        "d_ff": 128,
        "vocab_size": 99,
        "seq_len": 16,
    }
    torch.manual_seed(0)
    model = TextHRM(TextHRMConfig(**fields | {"forward_dtype": "float32"}))
    seen: list[float] = []
    for layer in model.layers:
        layer.register_forward_hook(lambda _, __, out: seen.append(out[0].pow(2).mean().sqrt().item()))
    logits, _ = model(random_batch(model.config, 2)["inputs"])
    assert len(seen) == model.config.n_layers
    assert min(seen) > 0.3 and max(seen) < 3
    logits.logsumexp(-1).sum().backward()
    norms = [layer.L_block.mlp.down_proj.weight.grad.norm().item() for layer in model.layers]  # type: ignore[union-attr]
    assert max(norms) < 100 * min(norms)


@pytest.mark.parametrize("made", [0.0, 1.0, 1e6])
def test_every_step_sees_the_input_again_whatever_the_blocks_make(made: float) -> None:
    """Blocks that cut their states off, and blocks whose states training has made a million times larger."""
    model = small_model(n_layers=1, halt_max_steps=3, h_update_period=1)
    seen: list[Tensor] = []
    model.layers[0].H_block.register_forward_hook(lambda _, given, out: torch.full_like(out, made))
    model.layers[0].L_block.register_forward_hook(
        lambda _, given, out: seen.append(given[0]) or torch.full_like(out, made)
    )
    inputs = random_batch(model.config, 1)["inputs"]
    logits_of(model, inputs)
    given = normalize(model.embed_tokens(inputs) / EMBEDDING_STD, model.config)
    two_states = 2.0 if made else 0.0
    for at_step, expected in zip(seen, (3 * given, given + two_states, given + two_states), strict=True):
        torch.testing.assert_close(at_step, expected, **CLOSE)


@pytest.mark.parametrize(
    ("steps", "period", "updates"),
    [
        (6, 2, [2, 4, 6]),
        (10, 4, [4, 8, 10]),
        (12, 5, [5, 10, 12]),
        (3, 9, [3]),
        (3, 1, [1, 2, 3]),
        (1, 1, [1]),
    ],
)
def test_H_updates_after_every_pth_step_and_the_last_in_each_layer(
    steps: int, period: int, updates: list[int]
) -> None:
    assert [t for t, is_one in enumerate(plan_h_updates(steps, period), 1) if is_one] == updates
    model = small_model(halt_max_steps=steps, h_update_period=period, n_layers=3)
    calls: list[str] = []
    for layer in model.layers:
        layer.L_block.register_forward_hook(lambda *_: calls.append("L"))
        layer.H_block.register_forward_hook(lambda *_: calls.append("H"))
    batch = random_batch(model.config, 2)
    one_layer = "".join("LH" if t in updates else "L" for t in range(1, steps + 1))
    for _ in range(2):  # the counter starts anew: nothing is left over from the last batch
        calls.clear()
        logits_of(model, batch["inputs"])
        assert "".join(calls) == 3 * one_layer


def test_ignored_labels_count_nowhere() -> None:
    model = lively_model()
    batch = random_batch(model.config, 3)
    whole = {name: array[:2] for name, array in batch.items()}
    padded = {name: array.clone() for name, array in batch.items()}
    padded["labels"][2] = IGNORED_LABEL
    _, loss, metrics = model.train_segment({}, padded)
    _, expected, expected_metrics = model.train_segment({}, whole)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for name, value in expected_metrics.items():
        assert metrics[name].item() == pytest.approx(value.item(), rel=1e-5), name
    assert int(model.get_loss_weight(padded)) == 2 * model.config.seq_len
    evaluated, expected_sums = model.evaluate_batch(padded), model.evaluate_batch(whole)
    for name, value in expected_sums.items():
        assert evaluated[name].item() == pytest.approx(value.item(), rel=1e-5), name


def test_the_validation_loss_is_the_language_loss_alone() -> None:
    batch = random_batch(small_config(), 3)
    losses = []
    for weight in (0.0, 100.0):
        model = lively_model(ponder_loss_weight=weight, q_loss_weight=weight)
        sums = {name: float(value) for name, value in model.evaluate_batch(batch).items()}
        logits = logits_of(model, batch["inputs"])
        nats = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten().long())
        assert model.compute_metrics(sums)["loss"] == pytest.approx(nats.item(), rel=1e-5)
        losses.append(sums["loss"])
    assert losses[0] == losses[1]


def test_perplexity_and_bits_per_byte_are_ratios_of_sums() -> None:
    model = small_model()
    metrics = model.compute_metrics(
        {"count": 10.0, "loss": 20.0, "accuracy": 5.0, "steps": 40.0, "bytes": 25.0}
    )
    assert metrics["loss"] == 2
    assert metrics["perplexity"] == pytest.approx(math.e**2)
    assert metrics["bits_per_byte"] == pytest.approx(20 / math.log(2) / 25)
    assert "bytes" not in metrics and metrics["accuracy"] == 0.5
    assert "bits_per_byte" not in model.compute_metrics({"count": 10.0, "loss": 20.0})
    assert model.compute_metrics({"count": 1.0, "loss": 1e5})["perplexity"] == math.inf
    assert model.compute_metrics({}) == {}


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_agrees(dtype: str) -> None:
    inputs = random_batch(small_config())["inputs"]
    exact, half = (logits_of(small_model(forward_dtype=t), inputs) for t in ("float32", dtype))
    assert half.dtype == getattr(torch, dtype)
    torch.testing.assert_close(half.float(), exact, rtol=0.05, atol=0.05)
