"""Generation: greedy is the argmax of the full forward, sampling keeps to its rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hrm.config.errors import ConfigError
from hrm.models.text.generation import Sampling, generate
from tests.hrm.models.text.conftest import lively_model, random_batch, small_model


@pytest.mark.parametrize("seed", range(3))
def test_greedy_is_the_argmax_of_the_full_forward(seed: int) -> None:
    model = lively_model(seed)
    prompt = random_batch(model.config, 2, 4)["inputs"].long()
    made = generate(model, prompt, 8)
    tokens = prompt
    for _ in range(8):
        with torch.no_grad():
            tokens = torch.cat((tokens, model(tokens)[0][:, -1:].argmax(-1)), 1)
    assert torch.equal(made, tokens[:, 4:])


def test_left_padded_prompts_go_on_as_alone() -> None:
    model = lively_model()
    short, long = (random_batch(model.config, 1, size)["inputs"].long() for size in (3, 6))
    padded = torch.cat((torch.cat((torch.zeros(1, 3, dtype=torch.int64), short), 1), long))
    real = torch.tensor([[False] * 3 + [True] * 3, [True] * 6])
    together = generate(model, padded, 5, real=real)
    assert torch.equal(together, torch.cat((generate(model, short, 5), generate(model, long, 5))))


def test_draws_repeat_with_their_generator() -> None:
    model = small_model()
    prompt = random_batch(model.config, 2, 2)["inputs"].long()
    draw: Callable[[int], Any] = lambda seed: generate(  # noqa: E731
        model, prompt, 10, Sampling(temperature=1.0), generator=torch.Generator().manual_seed(seed)
    )
    assert torch.equal(draw(1), draw(1)) and not torch.equal(draw(1), draw(2))


@given(
    st.lists(st.integers(-5, 5), min_size=2, max_size=9, unique=True),
    st.floats(0.2, 3),
    st.none() | st.integers(1, 12),
    st.floats(0.05, 1),
)
def test_chances_keep_to_top_k_and_top_p(
    logits: list[int], temperature: float, top_k: int | None, top_p: float
) -> None:
    given_logits = torch.tensor([logits]).float()
    chances = Sampling(temperature=temperature, top_k=top_k, top_p=top_p).compute_probabilities(given_logits)[
        0
    ]
    plain = (given_logits[0] / temperature).softmax(-1)
    ranked = sorted(range(len(logits)), key=lambda i: -plain[i].item())
    kept = ranked[: top_k or len(logits)]
    total, wanted = sum(plain[i].item() for i in kept), []
    for i in kept:
        wanted.append(i)
        if sum(plain[j].item() for j in wanted) / total >= top_p - 1e-6:
            break
    allowed = {i for i in range(len(logits)) if chances[i] > 0}
    assert chances.sum().item() == pytest.approx(1, abs=1e-5)
    assert allowed <= set(kept) and ranked[0] in allowed
    assert abs(len(allowed) - len(wanted)) <= 1  # the borderline token may fall on either side
    ratio = (chances[ranked[0]] / plain[ranked[0]]).item()
    assert all((chances[i] / plain[i]).item() == pytest.approx(ratio, rel=1e-3) for i in allowed)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda m, p: generate(m, p, 9),
            "max_new_tokens: given 9; must lie in 0..8: the context is 12 tokens",
        ),
        (lambda m, p: generate(m, p[:, :0], 1), "prompt: given 0; must hold at least one token"),
        (lambda m, p: generate(m, p, 1, real=torch.tensor([[True] * 3 + [False]])), "padded on the left"),
        (lambda m, p: Sampling(temperature=-1.0), "temperature: given -1.0; must be 0 or more"),
        (lambda m, p: Sampling(top_k=0), "top_k: given 0; must be at least 1"),
        (lambda m, p: Sampling(top_p=0.0), "top_p: given 0.0; must lie in 0..1"),
    ],
)
def test_what_cannot_be_is_refused(call: Callable[..., Any], message: str) -> None:
    model = small_model()
    with pytest.raises(ConfigError, match=message):
        call(model, random_batch(model.config, 1, 4)["inputs"].long())
