"""How long runs are: the same rules in steps and in FLOPs where all steps cost the same."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrm.config.errors import ConfigError
from hrm.config.train_config import TrainConfig
from hrm.training.schedule import TrainingSchedule, compute_lr

COST = 7


def course(schedule: TrainingSchedule, costs: list[int]) -> list[tuple[int, int, int]]:
    """Step and FLOPs at each report of a run whose steps cost these in turn."""
    step = flops = reports = 0
    made = []
    while reports < schedule.train.num_reports:
        index = schedule.get_next_validation(reports, step, flops)
        while not schedule.is_due(index, step, flops):
            assert not schedule.has_ended(step, flops)
            flops += costs[step % len(costs)]
            step += 1
        made.append((index, step, flops))
        reports = index
    assert schedule.has_ended(step, flops)
    return made


@given(steps=st.integers(1, 300), rest=st.integers(0, COST - 1), data=st.data())
def test_steps_of_one_cost_make_a_target_of_flops_a_number_of_steps(
    steps: int, rest: int, data: st.DataObject
) -> None:
    num_reports = data.draw(st.integers(1, steps))
    by_steps = TrainingSchedule(TrainConfig(steps=steps, num_reports=num_reports), COST)
    target = dataclasses.replace(by_steps.train, max_flops=steps * COST + rest)
    by_flops = TrainingSchedule(target, COST)
    assert course(by_flops, [COST]) == course(by_steps, [COST])
    for step in range(steps):
        expected = by_steps.get_position(step, step * COST)
        assert by_flops.get_position(step, step * COST) == pytest.approx(expected)


@given(
    st.lists(st.integers(1, COST), min_size=1, max_size=20),
    st.integers(1, 9),
    st.integers(1, 40),
    st.integers(0, 6),
)
def test_cheaper_steps_are_more_steps_never_above_the_target(
    costs: list[int], num_reports: int, whole: int, rest: int
) -> None:
    target = (num_reports + whole) * COST + rest
    train = TrainConfig(steps=num_reports, num_reports=num_reports, max_flops=target)
    made = course(TrainingSchedule(train, COST), costs)
    _, step, flops = made[-1]
    assert target - COST < flops <= target
    assert step >= target // COST
    indices = [index for index, *_ in made]
    assert indices == sorted(set(indices)) and indices[-1] == num_reports
    for index, _, spent in made:
        assert spent >= min(index / num_reports, 1) * (target - 2 * COST)


def test_a_target_too_small_for_its_reports_is_refused() -> None:
    TrainingSchedule(TrainConfig(num_reports=3, max_flops=21), COST)
    with pytest.raises(ConfigError, match=r"train\.max_flops: given 20; must be at least 21"):
        TrainingSchedule(TrainConfig(num_reports=3, max_flops=20), COST)


@pytest.mark.parametrize(
    ("step", "expected"),
    [(1, 0.25), (3, 0.75), (4, 1.0), (5, 0.2 + 0.4 * (1 + math.sqrt(0.5))), (6, 0.6), (8, 0.2)],
)
def test_learning_rate_warms_up_then_falls_to_its_floor(step: int, expected: float) -> None:
    assert compute_lr(1.0, step, total_steps=8, warmup_steps=4, min_ratio=0.2) == pytest.approx(expected)


def test_learning_rate_without_warm_up_or_floor() -> None:
    assert compute_lr(3.0, 1, total_steps=10, warmup_steps=0, min_ratio=1.0) == 3.0
    assert compute_lr(3.0, 10, total_steps=10, warmup_steps=10, min_ratio=0.1) == 3.0
    assert compute_lr(3.0, 9, total_steps=10, warmup_steps=20, min_ratio=0.1) == pytest.approx(3.0 * 9 / 20)
