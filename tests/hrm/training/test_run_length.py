"""How long runs are: the same rules in steps and in FLOPs where all steps cost the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrm.config.errors import ConfigError
from hrm.config.train_config import TrainConfig
from hrm.training.run_length import RunLength

COST = 7


def course(length: RunLength, costs: list[int]) -> list[tuple[int, int, int]]:
    """Step and FLOPs at each report of a run whose steps cost these in turn."""
    step = flops = reports = 0
    made = []
    while reports < length.train.num_reports:
        index = length.get_next_validation(reports, step, flops)
        while not length.is_due(index, step, flops):
            assert not length.has_ended(step, flops)
            flops += costs[step % len(costs)]
            step += 1
        made.append((index, step, flops))
        reports = index
    assert length.has_ended(step, flops)
    return made


@given(steps=st.integers(1, 300), rest=st.integers(0, COST - 1), data=st.data())
def test_steps_of_one_cost_make_a_target_of_flops_a_number_of_steps(
    steps: int, rest: int, data: st.DataObject
) -> None:
    num_reports = data.draw(st.integers(1, steps))
    by_steps = RunLength(TrainConfig(steps=steps, num_reports=num_reports), COST)
    target = TrainConfig(steps=steps, num_reports=num_reports, max_flops=steps * COST + rest)
    by_flops = RunLength(target, COST)
    assert course(by_flops, [COST]) == course(by_steps, [COST])
    for step in range(steps):
        expected = by_steps.schedule_step(step, step * COST)
        assert by_flops.schedule_step(step, step * COST) == pytest.approx(expected)


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
    made = course(RunLength(train, COST), costs)
    _, step, flops = made[-1]
    assert target - COST < flops <= target
    assert step >= target // COST
    indices = [index for index, *_ in made]
    assert indices == sorted(set(indices)) and indices[-1] == num_reports
    for index, _, spent in made:
        assert spent >= min(index / num_reports, 1) * (target - 2 * COST)


def test_a_target_too_small_for_its_reports_is_refused() -> None:
    RunLength(TrainConfig(num_reports=3, max_flops=21), COST)
    with pytest.raises(ConfigError, match=r"train\.max_flops: given 20; must be at least 21"):
        RunLength(TrainConfig(num_reports=3, max_flops=20), COST)
