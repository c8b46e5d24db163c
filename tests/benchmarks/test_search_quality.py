"""The stored curves are whole, and every policy searches within the same compute, alike when asked again."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.search_quality import (
    I_EPOCH,
    OURS,
    RANDOM,
    REPLAY,
    World,
    build_graph_world,
    build_own_world,
    compute_regrets,
)
from benchmarks.stock_policies import Step

WORLD = build_own_world()
RUNS = 6


def test_every_configuration_has_three_whole_curves_of_equal_compute() -> None:
    assert len(REPLAY.table.runs) == REPLAY.candidates.num_feasible_trials == 200
    for seeds in REPLAY.table.runs.values():
        assert [len(reports) for reports in seeds] == [10, 10, 10]
        curves = {tuple(report.metrics[REPLAY.objective.metric] for report in reports) for reports in seeds}
        assert len(curves) == 3, "three seeds"
        for reports in seeds:
            assert 0.95 * REPLAY.table.run_flops < reports[-1].train_flops <= REPLAY.table.run_flops


@pytest.mark.parametrize("name", WORLD.searches)
def test_a_policy_spends_its_budget_and_searches_alike_again(name: str) -> None:
    steps = WORLD.searches[name](RUNS, 3)
    assert any(step.value is not None for step in steps)
    spent = sum(step.runs for step in steps)
    assert RUNS - 1 < spent <= RUNS + 1e-9 if name in I_EPOCH else RUNS <= spent < RUNS + 1
    assert WORLD.searches[name](RUNS, 3) == steps


def test_ours_trains_nothing_twice() -> None:
    for name in (OURS, RANDOM):
        times = Counter(step.cell for step in WORLD.searches[name](RUNS, 1))
        assert set(times.values()) == {1}


def test_the_pick_is_the_best_seen_of_what_was_completed_in_time() -> None:
    regrets = {"a": 0.3, "b": 0.1, "c": 0.0}
    world = World({}, lambda cell, seed: regrets[cell], blind=0.9)
    steps = [Step("c", 0.5, None), Step("a", 1.0, 2.0), Step("b", 1.0, 1.0), Step("c", 1.0, 3.0)]
    assert compute_regrets(steps, [1, 2, 3, 4], world, seed=0) == [0.9, 0.3, 0.1, 0.1]


def test_the_public_table_is_searched_within_its_budget() -> None:
    world = build_graph_world("cora")
    for name, search in world.searches.items():
        steps = search(5, 0)
        assert len(steps) == 5 and all(step.runs == 1.0 for step in steps)
        assert all(world.regret(step.cell, 0) >= 0 for step in steps), name
        assert min(world.regret(step.cell, 0) for step in steps) < 1, f"{name}: five draws beat the median"
