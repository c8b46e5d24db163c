"""Halting, exploration, refilling and the target of continuing."""

from typing import Any

import pytest
import torch

from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.puzzle.model import compute_continue_target, decide_halting, refill

Q_HALT = torch.tensor([1.0, -1.0, 1.0, -1.0])
Q_CONTINUE = torch.tensor([0.0, -2.0, 2.0, 0.0])


def halted(steps: int, q_halt: torch.Tensor = Q_HALT, **fields: Any) -> list[bool]:
    config = PuzzleHRMConfig(**({"halt_max_steps": 4, "halt_exploration_prob": 0.0} | fields))
    counts = torch.full(q_halt.shape, steps, dtype=torch.int32)
    generator = torch.Generator().manual_seed(0)
    return decide_halting(q_halt, Q_CONTINUE.repeat(len(q_halt) // 4), counts, config, generator).tolist()


def test_halts_when_halting_is_worth_more() -> None:
    assert halted(1) == [True, True, False, False]


def test_without_continue_value_halts_on_a_positive_logit() -> None:
    assert halted(1, q_continue=False) == [True, False, True, False]


@pytest.mark.parametrize("steps", [3, 4, 5])
def test_halts_at_the_most_segments(steps: int) -> None:
    assert halted(steps)[2:] == [steps >= 4] * 2


def test_one_segment_always_halts() -> None:
    assert halted(1, halt_max_steps=1, halt_exploration_prob=1.0) == [True] * 4


def test_exploration_draws_a_minimum_from_two_to_the_most() -> None:
    eager = torch.ones(4000)
    shares = [
        sum(halted(steps, eager, halt_exploration_prob=1.0, q_continue=False)) / 4000
        for steps in (1, 2, 3, 4)
    ]
    assert shares[0] == 0
    assert shares[1:] == pytest.approx([1 / 3, 2 / 3, 1], abs=0.03)


def test_exploration_happens_as_often_as_asked() -> None:
    stopped = halted(1, torch.ones(4000), halt_exploration_prob=0.25, q_continue=False)
    assert sum(stopped) / 4000 == pytest.approx(0.75, abs=0.03)


def test_generator_alone_decides_exploration() -> None:
    assert halted(2, halt_exploration_prob=0.5) == halted(2, halt_exploration_prob=0.5)


def test_only_halted_slots_take_new_data() -> None:
    old = {"inputs": torch.zeros(3, 2), "puzzle_identifiers": torch.zeros(3)}
    new = {"inputs": torch.ones(3, 2), "puzzle_identifiers": torch.ones(3)}
    data = refill(old, new, torch.tensor([True, False, True]))
    assert data["inputs"].tolist() == [[1, 1], [0, 0], [1, 1]]
    assert data["puzzle_identifiers"].tolist() == [1, 0, 1]


def test_target_of_continuing_is_the_best_next_choice() -> None:
    last = torch.tensor([False, False, True, True])
    target = compute_continue_target(Q_HALT, Q_CONTINUE, last)
    torch.testing.assert_close(
        target,
        torch.tensor([1.0, -1.0, 1.0, -1.0]).where(last, torch.tensor([1.0, -1.0, 2.0, 0.0])).sigmoid(),
    )
