"""Epochs without replacement, from the step alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hrm.data.sampling import create_step_generator, shuffle_epoch, take_from_epochs


def _stream(length: int, num: int) -> np.ndarray:
    epochs = -(-num // length)
    return np.concatenate([shuffle_epoch(9, epoch, length) for epoch in range(epochs)])[:num]


@given(length=st.integers(1, 12), batch_size=st.integers(1, 30), num_steps=st.integers(1, 8))
def test_steps_cut_one_stream_of_epochs(length: int, batch_size: int, num_steps: int) -> None:
    batches = [
        take_from_epochs(step, batch_size, length, lambda epoch: shuffle_epoch(9, epoch, length))
        for step in range(num_steps)
    ]
    assert [len(batch) for batch in batches] == [batch_size] * num_steps
    assert (np.concatenate(batches) == _stream(length, batch_size * num_steps)).all()


def test_an_epoch_is_a_permutation_of_its_own() -> None:
    orders = [tuple(shuffle_epoch(seed, epoch, 50)) for seed in range(3) for epoch in range(4)]
    assert len(set(orders)) == 12
    assert all(sorted(order) == list(range(50)) for order in orders)


def test_steps_and_seeds_draw_apart() -> None:
    draws = {tuple(create_step_generator(seed, step).random(2)) for seed in range(5) for step in range(5)}
    assert len(draws) == 25


def test_golden_order() -> None:
    """Runs are repeated from their seed: another order would be another run."""
    assert shuffle_epoch(0, 0, 8).tolist() == [2, 6, 5, 7, 0, 1, 4, 3]
