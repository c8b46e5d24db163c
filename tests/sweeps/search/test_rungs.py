"""Where a pruner compares trials, under each fidelity, over curves of the simulator's world."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import pytest

from benchmarks.synthetic_curves import SyntheticCurves
from hrm.config.errors import ConfigError
from sweeps.config import PruningConfig, SweepConfig, SweepTrainConfig
from sweeps.events import Job, Report
from sweeps.search.batch_wilcoxon import mark
from sweeps.search.objectives import Objective
from sweeps.search.rungs import Marks, length, marks
from tests.sweeps.search_cases import (
    NO_BASELINES,
    NO_CONFIRMATION,
    candidates_of,
    make_plan,
    search_jobs,
    simulate,
    sweep_config,
)

CURVES = SyntheticCurves(world=1)
AMOUNTS = {"steps": "step", "flops": "train_flops", "seconds": "train_seconds"}


def config_with(fidelity: str, **overrides: Any) -> SweepConfig:
    return sweep_config(
        pruning=PruningConfig(fidelity=fidelity), deterministic=fidelity != "seconds", **overrides
    )


def whole_runs() -> list[tuple[Job, list[Report]]]:
    """Runs of shapes that need unlike FLOPs per step, all of the same FLOPs in all."""
    plan = make_plan(pruner={"name": "none"}, num_trials=8, baseline=NO_BASELINES, confirm=NO_CONFIRMATION)
    simulate(plan)
    runs = [(plan.jobs[number], list(plan.outcomes[number].reports)) for number in search_jobs(plan)]
    assert len({job.run.train.steps for job, _ in runs}) > 2
    return runs


def marks_of(fidelity: str, first_completed: Report | None = None) -> Marks:
    config = config_with(fidelity)
    return marks(config, candidates_of(config), Objective.parse(config.objective), lambda: first_completed)


def values(reports: list[Report]) -> list[float | None]:
    return [report.metrics["valid/blank_accuracy"] for report in reports]


@pytest.mark.parametrize("fidelity", ["fraction", "flops"])
def test_runs_of_equal_flops_reach_one_mark_a_report(fidelity: str) -> None:
    reached = marks_of(fidelity)
    for _, reports in whole_runs():
        for i in range(1, 6):
            assert list(reached(reports[:i])) == list(range(1, i + 1))
            assert reached(reports[:i])[i] == pytest.approx(values(reports)[i - 1], abs=0.02)


def test_at_equal_steps_a_run_of_costly_steps_does_not_get_as_far() -> None:
    reached = marks_of("steps")
    ends = {job.run.train.steps: max(reached(reports)) for job, reports in whole_runs()}
    longest, shortest = max(ends), min(ends)
    assert ends[longest] == 5 and ends[shortest] < 5
    assert [ends[steps] for steps in sorted(ends)] == sorted(ends.values())


@pytest.mark.parametrize("fidelity", AMOUNTS)
def test_a_mark_is_one_amount_and_lies_on_the_curve(fidelity: str) -> None:
    runs = whole_runs()
    reached = marks_of(fidelity, runs[0][1][-1])
    for _, reports in runs:
        spent = [getattr(report, AMOUNTS[fidelity]) for report in reports]
        line = [0.1 * amount / spent[-1] for amount in spent]
        straight = [
            dataclasses.replace(report, metrics={"valid/blank_accuracy": value})
            for report, value in zip(reports, line, strict=True)
        ]
        found = list(reached(straight).values())
        gaps = [after - before for before, after in itertools.pairwise(found)][1:-1]
        assert gaps == pytest.approx(gaps[:1] * len(gaps)), (
            "equal amounts apart, but for the ends of the curve"
        )
        assert max(found) <= 0.1


def test_seconds_are_parts_of_the_first_completed_run() -> None:
    _, reports = whole_runs()[0]
    assert marks_of("seconds")(reports) == {}
    twice = dataclasses.replace(reports[-1], train_seconds=2 * reports[-1].train_seconds)
    assert list(marks_of("seconds", reports[-1])(reports)) == [1, 2, 3, 4, 5]
    assert list(marks_of("seconds", twice)(reports)) == [1, 2]


def test_an_unknown_value_has_no_mark() -> None:
    _, reports = whole_runs()[0]
    silent = dataclasses.replace(reports[1], metrics={"valid/blank_accuracy": None})
    assert list(marks_of("fraction")([reports[0], silent, *reports[2:]])) == [1, 3, 4, 5]
    assert marks_of("flops")([silent]) == {}


def test_each_batch_has_a_mark_of_its_own_for_wilcoxon() -> None:
    config = sweep_config(pruner={"name": "wilcoxon"}, objective="valid/blank_accuracy_auc")
    batches = [[0.1, 0.3], [0.3, 0.5]]
    reports = [
        dataclasses.replace(report, batches=[{"valid/blank_accuracy": value} for value in of_report])
        for report, of_report in zip(whole_runs()[0][1], batches)
    ]
    assert marks(config, candidates_of(config), Objective.parse(config.objective), lambda: None)(
        reports
    ) == pytest.approx({mark(1, 0): 0.1, mark(1, 1): 0.3, mark(2, 0): 0.2, mark(2, 1): 0.4})
    with pytest.raises(ConfigError, match=r"pruning.fidelity: given 'steps'; pruner=wilcoxon compares"):
        make_plan(pruner={"name": "wilcoxon"}, pruning=PruningConfig(fidelity="steps"))


def test_seconds_and_determinism_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match=r"given 'seconds'; needs deterministic=false"):
        sweep_config(pruning=PruningConfig(fidelity="seconds"))


@pytest.mark.parametrize("fidelity", AMOUNTS)
def test_every_fidelity_prunes(fidelity: str) -> None:
    config = config_with(
        fidelity, pruner={"name": "successive_halving"}, num_trials=12, baseline=NO_BASELINES
    )
    plan = make_plan(2, **{name: getattr(config, name) for name in config.__dataclass_fields__})
    simulate(plan, 2)
    ended = [plan.outcomes[number].status for number in search_jobs(plan)]
    assert set(ended) == {"completed", "pruned"}


@pytest.mark.parametrize(
    ("fidelity", "equal", "is_most"),
    [
        ("fraction", "flops", True),
        ("flops", "flops", True),
        ("steps", "steps", True),
        ("steps", "flops", False),
        ("flops", "steps", False),
        ("seconds", "flops", False),
    ],
)
def test_no_run_has_more_marks_where_all_spend_alike(fidelity: str, equal: str, is_most: bool) -> None:
    config = config_with(fidelity, train=SweepTrainConfig(steps=200, num_reports=5, equal=equal))
    assert length(config) == (5, is_most)
