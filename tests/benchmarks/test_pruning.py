"""The stored curves are whole, and what is replayed on them is the real search at equal training FLOPs."""

from __future__ import annotations

import pytest

from benchmarks.pruning import FIRST_ALL, POLICIES, REPLAY, replay, train_all_then_best


def test_every_configuration_has_three_whole_curves() -> None:
    assert len(REPLAY.table.runs) == REPLAY.candidates.num_feasible_trials == 36
    for seeds in REPLAY.table.runs.values():
        assert [len(reports) for reports in seeds] == [10, 10, 10]
        curves = {tuple(report.metrics[REPLAY.objective.metric] for report in reports) for reports in seeds}
        assert len(curves) == 3, "three seeds"
        for reports in seeds:
            assert 0.99 * REPLAY.table.run_flops < reports[-1].train_flops <= REPLAY.table.run_flops


@pytest.mark.parametrize("name", ["none", "hyperband", "patient (hyperband)"])
def test_a_policy_spends_its_budget_and_decides_alike_again(name: str) -> None:
    run = replay(POLICIES[name], 6, seed=3)
    assert 6 <= run.flops < 6.1, "it ends at the first report at which all is spent"
    assert run.completed <= run.started
    assert run == replay(POLICIES[name], 6, seed=3)


@pytest.mark.parametrize("reports", FIRST_ALL.values())
def test_the_trivial_baseline_stays_within_its_budget(reports: int) -> None:
    order = REPLAY.draw_order(seed=1)
    assert sorted(order) == sorted(REPLAY.table.runs)
    for budget in (1, 6, 18):
        run = train_all_then_best(order, reports, budget, seed=1)
        assert run.completed >= 1 and run.flops <= budget + 1e-9
