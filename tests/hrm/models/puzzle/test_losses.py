"""Losses against float64, against torch, and where naive formulas fail."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hrm.models.layers import softmax_cross_entropy
from hrm.models.puzzle.losses import TOKEN_LOSSES, stablemax_cross_entropy

LOGITS = st.lists(
    st.one_of(st.floats(-1e4, 1e4, width=32), st.sampled_from([0.0, -0.0, 1.0, -1.0])), min_size=2, max_size=6
)


def naive_stablemax(logits: Tensor, label: int) -> float:
    scores = [x + 1 if x >= 0 else 1 / (1 - x) for x in logits.double().tolist()]
    return -math.log(scores[label] / math.fsum(scores))


@settings(deadline=None)
@given(LOGITS, st.data())
def test_stablemax_is_the_formula_in_float64(values: list[float], data: st.DataObject) -> None:
    logits = torch.tensor(values)
    label = data.draw(st.integers(0, len(values) - 1))
    expected = naive_stablemax(logits, label)
    assert stablemax_cross_entropy(logits, torch.tensor(label)).item() == pytest.approx(
        expected, rel=1e-5, abs=1e-6
    )


@settings(deadline=None)
@given(LOGITS)
def test_stablemax_gradient_is_that_of_float64(values: list[float]) -> None:
    logits = torch.tensor(values, requires_grad=True)
    stablemax_cross_entropy(logits, torch.tensor(0)).backward()
    x = torch.tensor(values, dtype=torch.float64)
    scores = torch.where(x < 0, 1 / (1 - x.clamp(max=0)), x + 1)
    slopes = torch.where(x < 0, scores**2, 1)
    expected = slopes / scores.sum()
    expected[0] -= slopes[0] / scores[0]
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad.double(), expected, rtol=1e-4, atol=1e-6)


def test_stablemax_gradient_at_a_logit_of_one() -> None:
    logits = torch.tensor([[1.0, 1.0, -2.0]], requires_grad=True)
    stablemax_cross_entropy(logits, torch.tensor([0])).sum().backward()
    total = 2 + 2 + 1 / 3
    expected = torch.tensor([[1 / total - 1 / 2, 1 / total, (1 / 9) / total]])
    torch.testing.assert_close(logits.grad, expected)


@pytest.mark.parametrize("value", [1e30, -1e30, 65504.0])
def test_stablemax_stays_finite_at_huge_logits(value: float) -> None:
    logits = torch.tensor([value, 0.0, 1.0], requires_grad=True)
    loss = stablemax_cross_entropy(logits, torch.tensor(1))
    loss.backward()
    assert loss.isfinite() and logits.grad is not None and logits.grad.isfinite().all()


def test_softmax_is_torch_s_also_on_a_slice() -> None:
    logits = torch.randn(3, 6, 7)[:, 1:]
    labels = torch.randint(0, 7, (3, 5), dtype=torch.int32)
    expected = -logits.log_softmax(-1).gather(-1, labels.long().unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(softmax_cross_entropy(logits, labels), expected)


@pytest.mark.parametrize("name", TOKEN_LOSSES)
def test_ignored_labels_cost_nothing_and_half_precision_is_widened(name: str) -> None:
    logits = torch.randn(2, 3, 5, dtype=torch.bfloat16, requires_grad=True)
    labels = torch.tensor([[0, -100, 4], [-100, -100, -100]], dtype=torch.int32)
    loss = TOKEN_LOSSES[name](logits, labels)
    assert loss.dtype == torch.float32
    assert loss[labels == -100].eq(0).all() and loss[labels != -100].gt(0).all()
    loss.sum().backward()
    assert logits.grad is not None
    assert logits.grad[labels == -100].eq(0).all()
