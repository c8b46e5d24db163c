"""Adaptive halting: one rule in training and evaluation, states kept, and gradients where they belong."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from hrm.models.text.halting import CONTINUE, HALT, HaltingState, compute_ponder_loss, compute_q_loss
from hrm.models.text.layers import Dropout
from hrm.models.text.model import TextHRM
from tests.hrm.models.text.conftest import lively_model, random_batch, small_config, small_model


def test_tokens_of_one_sequence_halt_at_different_steps() -> None:
    _, traces = lively_model(halt_max_steps=6, h_update_period=2)(random_batch(small_config())["inputs"])
    assert {int(step) for trace in traces for step in trace.steps.flatten()} == {2, 4, 6}


@pytest.mark.parametrize("seed", range(3))
def test_training_and_evaluation_halt_the_same(seed: int) -> None:
    model = lively_model(seed)
    inputs = random_batch(model.config)["inputs"]
    _, trained = model.train()(inputs)
    with torch.no_grad():
        _, evaluated = model.eval()(inputs)
    for a, b in zip(trained, evaluated, strict=True):
        assert torch.equal(a.steps, b.steps)
        assert torch.equal(a.expected_steps, b.expected_steps)


def test_halting_draws_nothing_at_random() -> None:
    model = lively_model()
    batch = random_batch(model.config)
    generator = torch.Generator().manual_seed(7)
    before, at_large = generator.get_state(), torch.get_rng_state()
    model.train_segment({}, batch, generator)
    assert torch.equal(generator.get_state(), before)
    assert torch.equal(torch.get_rng_state(), at_large)


def halting_of(
    logits: list[float], values: list[tuple[float, float]], **overrides: Any
) -> tuple[HaltingState, Tensor]:
    """One token through H updates with these halting logits and Q values; state k is k everywhere."""
    config = small_config(halt_max_steps=len(logits) + 1, h_update_period=1, **overrides)
    halting = HaltingState(config, torch.zeros(1, 1, 2))
    for k in range(1, len(logits) + 2):
        state = torch.full((1, 1, 2), float(k))
        logit = logits[k - 1] if k <= len(logits) else 0.0
        value = values[k - 1] if k <= len(values) else (0.0, 0.0)
        done = halting.update(
            k, state, lambda _, x=logit: torch.full((1, 1, 1), x), lambda _, x=value: torch.tensor([[x]])
        )
        if done:
            break
    return halting, halting.output[0, 0, 0]


def test_output_is_the_mean_of_states_by_their_shares() -> None:
    halting, output = halting_of([0.0, 0.0], [])
    assert output == pytest.approx(0.5 * 1 + 0.25 * 2 + 0.25 * 3)
    assert halting.trace.expected_steps.item() == pytest.approx(0.5 * 1 + 0.25 * 2 + 0.25 * 3)
    assert halting.trace.steps.item() == 3


def test_a_token_halts_when_nearly_all_is_handed_over() -> None:
    halting, output = halting_of([5.0, 0.0], [], halt_epsilon=0.01)
    assert halting.trace.steps.item() == 1 and output == pytest.approx(1)
    halting, _ = halting_of([4.0, -4.0], [], halt_epsilon=0.01)
    assert halting.trace.steps.item() == 3


def test_q_values_move_the_share_by_their_difference_as_chances() -> None:
    assert (CONTINUE, HALT) == (0, 1)
    _, output = halting_of([0.0], [(-1.0, 2.0)])
    share = torch.sigmoid(torch.sigmoid(torch.tensor(2.0)) - torch.sigmoid(torch.tensor(-1.0)))
    assert output.item() == pytest.approx((share + (1 - share) * 2).item())
    for certain in (-1e9, 1e9):  # however sure it is, it moves the logit by at most 1
        _, output = halting_of([0.0], [(-certain, certain)])
        assert 2 - output.item() == pytest.approx(torch.sigmoid(torch.tensor(certain).sign()).item())


def test_halted_tokens_keep_their_last_state() -> None:
    config = small_config(halt_max_steps=3, h_update_period=1)
    halting = HaltingState(config, torch.zeros(1, 2, 4))
    only_first = torch.tensor([[[9.0], [-9.0]]])
    halting.update(1, torch.ones(1, 2, 4), lambda _: only_first, lambda _: torch.zeros(1, 2, 2))
    kept = halting.keep_halted(torch.full((1, 2, 4), 1.0), torch.full((1, 2, 4), 2.0))
    assert kept[0, 0].tolist() == [1.0] * 4 and kept[0, 1].tolist() == [2.0] * 4


def gradients(model: TextHRM, loss: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_the_ponder_term_has_a_gradient_and_it_shortens() -> None:
    model = small_model()
    _, traces = model(random_batch(model.config)["inputs"])
    ponder = compute_ponder_loss(traces, model.config)
    assert (ponder > 0).all() and (ponder <= 1).all()
    found = gradients(model, ponder.mean())
    for i in range(model.config.n_layers):
        assert found[f"layers.{i}.halt_head.bias"].item() < 0  # descent raises the chance to halt
        assert found[f"layers.{i}.halt_head.weight"].abs().sum() > 0


def test_the_q_term_trains_the_q_networks_and_nothing_else() -> None:
    found = []
    for weight in (0.0, 50.0):
        model = lively_model(q_loss_weight=weight)
        torch.manual_seed(1)
        _, loss, _ = model.train_segment({}, random_batch(model.config))
        found.append(gradients(model, loss))
    for name, gradient in found[0].items():
        is_q = "q_network" in name
        assert torch.equal(gradient, found[1][name]) is not is_q, name


def test_the_q_term_is_small_beside_the_language_loss_at_first() -> None:
    model = small_model(vocab_size=258)
    _, _, metrics = model.train_segment({}, random_batch(model.config))
    assert 0 < model.config.q_loss_weight * metrics["q_loss"] < 0.01 * metrics["lm_loss"]


def test_q_targets_are_the_chance_of_the_right_token_and_the_best_next_value() -> None:
    config = small_config(halt_max_steps=3, h_update_period=1, n_layers=1)
    halting, _ = halting_of([0.0, 9.0], [(2.0, 1.0), (-1.0, 0.5)])
    assert halting.trace.steps.item() == 2
    nats = torch.tensor([[0.7]])
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    went_on = bce(torch.tensor(2.0), torch.tensor(0.5).sigmoid())
    halted = bce(torch.tensor(0.5), torch.exp(-torch.tensor(0.7)))
    assert compute_q_loss([halting.trace], nats, config).item() == pytest.approx(
        (went_on + halted).item() / 3
    )


def test_dropout_draws_from_the_given_generator_and_is_off_in_evaluation() -> None:
    model = small_model(dropout=0.5)
    inputs = random_batch(model.config)["inputs"]
    at_large = torch.get_rng_state()
    drawn = [model(inputs, dropout=Dropout(0.5, torch.Generator().manual_seed(s)))[0] for s in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    assert torch.equal(torch.get_rng_state(), at_large)
    assert torch.equal(model(inputs)[0], model.train()(inputs)[0])


@pytest.mark.parametrize("seed", [5, None])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_checkpointing_changes_no_gradient(dtype: str, seed: int | None) -> None:
    """Dropout drawing from a generator of its own, and from torch's global one."""
    found = []
    for checkpointing in (False, True):
        model = lively_model(dropout=0.3, forward_dtype=dtype, gradient_checkpointing=checkpointing)
        torch.manual_seed(1)
        batch = random_batch(model.config)
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        _, loss, _ = model.train_segment({}, batch, generator)
        found.append(gradients(model, loss))
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name], rtol=1e-6, atol=1e-6)
