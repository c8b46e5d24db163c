"""The stored curves are whole, and what is replayed on them is the real search at equal training FLOPs."""

from __future__ import annotations

import pytest

from benchmarks.pruning import (
    FIRST_ALL,
    METRIC,
    MODEL_FIELDS,
    POLICIES,
    first_all,
    order_of,
    replay,
    stored,
    sweep_config,
)
from sweeps.space.candidates import Candidates

TABLE, SPACE = stored(), Candidates(sweep_config(), MODEL_FIELDS)


def test_every_configuration_has_three_whole_curves() -> None:
    assert len(TABLE.runs) == SPACE.num_feasible_trials == 36
    for seeds in TABLE.runs.values():
        assert [len(reports) for reports in seeds] == [10, 10, 10]
        assert len({tuple(report.metrics[METRIC] for report in reports) for reports in seeds}) == 3, (
            "three seeds"
        )
        for reports in seeds:
            assert 0.99 * TABLE.run_flops < reports[-1].train_flops <= TABLE.run_flops


@pytest.mark.parametrize("name", ["none", "hyperband", "extrapolation"])
def test_a_policy_spends_its_budget_and_decides_alike_again(name: str) -> None:
    run = replay(TABLE, SPACE, POLICIES[name], 6, seed=3)
    assert 6 <= run.flops < 6.1, "it ends at the first report at which all is spent"
    assert run.completed <= run.started
    assert run == replay(TABLE, SPACE, POLICIES[name], 6, seed=3)


@pytest.mark.parametrize("reports", FIRST_ALL.values())
def test_the_trivial_baseline_stays_within_its_budget(reports: int) -> None:
    order = order_of(TABLE, SPACE, seed=1)
    assert sorted(order) == sorted(TABLE.runs)
    for budget in (1, 6, 18):
        run = first_all(TABLE, order, reports, budget, seed=1)
        assert run.completed >= 1 and run.flops <= budget + 1e-9
