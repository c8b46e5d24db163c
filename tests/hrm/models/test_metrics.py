"""Means of metrics: whom they count, and what they say when there was nothing to count."""

from __future__ import annotations

import pytest
import torch

from hrm.models.base import RunningMeans, average_by_count, sum_batches


def _sums(**values: float) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value) for name, value in values.items()}


def test_losses_count_all_sequences_and_accuracies_the_halted() -> None:
    means = RunningMeans(batch_size=4)
    means.add(_sums(count=1, loss=8.0, exact_accuracy=1))
    means.add(_sums(count=3, loss=4.0, exact_accuracy=1))
    assert means.take() == {"loss": 12 / 8, "exact_accuracy": 2 / 4}


def test_taking_starts_anew() -> None:
    means = RunningMeans(batch_size=1)
    means.add(_sums(count=1, loss=8.0))
    means.take()
    assert means.take() == {}
    means.add(_sums(count=1, loss=2.0))
    assert means.take() == {"loss": 2.0}


def test_nothing_halted_is_missing_not_zero() -> None:
    means = RunningMeans(batch_size=2)
    means.add(_sums(count=0, loss=3.0, exact_accuracy=0))
    assert means.take() == {"loss": 1.5, "exact_accuracy": None}


def test_a_state_goes_on() -> None:
    means, other = RunningMeans(batch_size=2), RunningMeans(batch_size=2)
    means.add(_sums(count=1, loss=3.0))
    other.load_state_dict(means.state_dict())
    other.add(_sums(count=1, loss=5.0))
    assert other.take() == {"loss": 2.0}
    assert means.take() == {"loss": 1.5}


def test_batches_of_unequal_size_weigh_by_their_sequences() -> None:
    means = average_by_count(sum_batches([_sums(count=3, loss=3.0), _sums(count=1, loss=5.0)]))
    assert means == {"loss": pytest.approx(2.0)}


def test_no_sequences_at_all() -> None:
    assert average_by_count(sum_batches([])) == {}
    assert average_by_count(sum_batches([_sums(count=0, loss=0.0)])) == {"loss": None}
