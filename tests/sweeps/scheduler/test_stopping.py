"""The limits of a whole sweep, on a fake clock: never passed by more than a report, always told."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.simulator import FakeClock, Simulation, Simulator, Slowness, Train
from benchmarks.synthetic_curves import SyntheticCurves
from hrm.config.errors import ConfigError, UserError
from sweeps.config import StopConfig
from sweeps.events import Job
from sweeps.scheduler.scheduler import Scheduler
from sweeps.scheduler.trial_runner import TrialRunner
from sweeps.search.objectives import Objective
from tests.sweeps.search_cases import (
    NO_BASELINES,
    NO_CONFIRMATION,
    candidates_of,
    decisions,
    extend,
    jobs_of,
    outcomes_of,
    simulate,
    study_of,
    sweep_config,
)

NUM_TRIALS = 9
REPORTS = 5


def run(
    slots: int = 1, slowness: Slowness | None = None, train: Train | None = None, **overrides: Any
) -> tuple[Scheduler, Simulation]:
    clock = FakeClock()
    config = sweep_config(**{"num_trials": NUM_TRIALS, "confirm": NO_CONFIRMATION, **overrides})
    plan = Scheduler(config, candidates_of(config), None, slots, clock=clock)
    simulation = Simulator(TrialRunner(plan), train or SyntheticCurves(world=1), slots, slowness, clock).run()
    return plan, simulation


def uneven(seed: int) -> Slowness:
    return lambda job, index: random.Random(f"{seed} {job.number} {index}").uniform(0.3, 3)


def of_kinds(plan: Scheduler, *kinds: str) -> list[int]:
    return [number for number, job in jobs_of(plan).items() if job.kind in kinds]


def spent(plan: Scheduler, *kinds: str) -> int:
    reports = [outcomes_of(plan)[number].reports for number in of_kinds(plan, *kinds)]
    return sum(made[-1].train_flops for made in reports if made)


def whole(plan: Scheduler) -> int:
    """Training FLOPs of one whole trial, at most."""
    return 200 * plan.presets["tiny_demo"].flops_per_step


def test_without_limits_nothing_is_said() -> None:
    plan, _ = run()
    assert plan.notes == [] and len(of_kinds(plan, "search")) == NUM_TRIALS


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("limit", [4, 7, 11, 12, 13])
def test_trials_are_counted_with_the_baselines(limit: int, deterministic: bool) -> None:
    plan, _ = run(2, stop=StopConfig(trials=limit), deterministic=deterministic)
    assert len(of_kinds(plan, "baseline")) == 3
    num_search = min(limit - 3, NUM_TRIALS)
    assert len(of_kinds(plan, "search")) == num_search
    assert all(outcome.error is None for outcome in outcomes_of(plan).values())
    said = [
        f"The search ended after {num_search} of {NUM_TRIALS} trials: "
        f"stop.trials={limit} was reached, 3 baseline trials included."
    ]
    assert plan.notes == (said if num_search < NUM_TRIALS else [])


@pytest.mark.parametrize(
    ("stop", "message"),
    [
        (
            StopConfig(trials=8),
            "8 trials were counted so far, and the longer search asks for 7 baseline trials",
        ),
        (StopConfig(flops="5T"), "the 7 baseline trials that the longer search asks for exceed it by"),
    ],
)
def test_an_extension_whose_baselines_pass_a_limit_is_refused(stop: StopConfig, message: str) -> None:
    plan, _ = run(stop=stop)
    longer = sweep_config(num_trials=40, confirm=NO_CONFIRMATION, stop=stop)
    with pytest.raises(ConfigError, match=message):
        extend(plan, longer)


def test_an_extension_within_a_raised_limit_fills_it() -> None:
    plan, _ = run(stop=StopConfig(trials=8))
    extend(plan, sweep_config(num_trials=40, confirm=NO_CONFIRMATION, stop=StopConfig(trials=20)))
    simulate(plan, 1)
    assert len(of_kinds(plan, "search", "baseline")) == 20


def test_the_expected_number_of_jobs_heeds_the_trials() -> None:
    config = sweep_config(num_trials=NUM_TRIALS, stop=StopConfig(trials=5))
    plan = Scheduler(config, candidates_of(config), None, 2)
    expected = plan.num_jobs_expected
    simulate(plan, 2)
    assert expected == len(jobs_of(plan)) == 5 + 9


@settings(max_examples=25, deadline=None)
@given(
    runs=st.floats(3.05, 12.5),
    slots=st.integers(1, 4),
    deterministic=st.booleans(),
    pruner=st.sampled_from(["none", "hyperband"]),
    seed=st.integers(0, 2**32),
)
def test_flops_are_never_passed_by_more_than_a_report(
    runs: float, slots: int, deterministic: bool, pruner: str, seed: int
) -> None:
    most = int(runs * whole(Scheduler(sweep_config(), candidates_of(sweep_config()), None, 1)))
    options: dict[str, Any] = {
        "stop": StopConfig(flops=most),
        "deterministic": deterministic,
        "pruner": {"name": pruner},
    }
    plan, _ = run(slots, uneven(seed), **options)
    a_report = whole(plan) // REPORTS + max(job.flops_per_step for job in jobs_of(plan).values())
    running = 1 if deterministic else slots
    assert spent(plan, "search", "baseline") <= most + running * a_report
    ended = [outcome for outcome in outcomes_of(plan).values() if outcome.error]
    assert all((one.status, one.error) == ("pruned", f"ended by stop.flops={most:,}") for one in ended)
    num_search = len(of_kinds(plan, "search"))
    if plan.notes:
        assert plan.notes == [
            f"The search ended after {num_search} of {NUM_TRIALS} trials: stop.flops={most:,} was reached, "
            "baselines and pruned trials included."
        ]
        assert spent(plan, "search") + 3 * whole(plan) >= most
    else:
        assert num_search == NUM_TRIALS
    assert not deterministic or len(ended) <= 1
    if deterministic:
        other, _ = run(slots, uneven(seed + 1), **options)
        assert decisions(other) == decisions(plan) and other.notes == plan.notes


@settings(max_examples=15, deadline=None)
@given(patience=st.integers(1, 6), slots=st.integers(1, 3), world=st.integers(0, 30))
def test_a_search_that_no_longer_improves_ends(patience: int, slots: int, world: int) -> None:
    stop = StopConfig(no_improvement=patience)
    plan, _ = run(slots, uneven(world), SyntheticCurves(world), stop=stop, baseline=NO_BASELINES)
    objective = Objective.parse("valid/blank_accuracy")
    values = [
        objective.compute_value(outcome.reports) if outcome.status == "completed" else None
        for _, outcome in sorted(outcomes_of(plan).items())
    ]
    expected = NUM_TRIALS
    for number in range(NUM_TRIALS):
        seen = values[: max(0, number - slots + 1)]
        reached = [value for value in seen if value is not None]
        behind = len(seen) - 1 - seen.index(max(reached)) if reached else len(seen)
        if behind >= patience:
            expected = number
            break
    assert len(values) == expected
    said = f"trials: stop.no_improvement={patience} trials without a better best were reached."
    assert [note.endswith(said) for note in plan.notes] == ([True] if expected < NUM_TRIALS else [])


@settings(max_examples=20, deadline=None)
@given(seconds=st.floats(1, 150), slots=st.integers(1, 3), seed=st.integers(0, 2**32))
def test_time_ends_everything_within_a_report(seconds: float, slots: int, seed: int) -> None:
    overrides = {"stop": StopConfig(hours=seconds / 3600), "confirm": sweep_config().confirm}
    plan, simulation = run(slots, uneven(seed), **overrides)
    longest = 3 * 10 / REPORTS
    assert simulation.wall_seconds <= seconds + longest
    assert all(start <= seconds for start, _ in simulation.started)
    if not plan.notes:
        assert len(of_kinds(plan, "confirm")) == 9 and not any(
            one.error for one in outcomes_of(plan).values()
        )
        return
    assert f"stop.hours={seconds / 3600:g} was reached. Time depends on the machine" in plan.notes[0]
    assert simulation.wall_seconds >= seconds
    for outcome in outcomes_of(plan).values():
        assert outcome.error in (None, f"ended by stop.hours={seconds / 3600:g}")
        assert outcome.status == ("pruned" if outcome.error else outcome.status)
    assert plan.num_jobs_expected == len(jobs_of(plan)) == len(outcomes_of(plan))


def test_time_says_what_was_not_trained() -> None:
    plan, _ = run(1, stop=StopConfig(hours=25 / 3600), confirm=sweep_config().confirm)
    assert plan.notes[1] == "Not trained for lack of time: 3 baseline trials and confirmations."
    free, _ = run(1, stop=StopConfig(hours=25 / 3600), deterministic=False, pruner={"name": "none"})
    assert free.notes == [
        "The search ended after 3 of 9 trials: stop.hours=0.00694444 was reached.",
        "Not trained for lack of time: 3 baseline trials.",
    ]


def test_confirmations_come_on_top_of_trials_and_flops() -> None:
    stop = StopConfig(trials=5, flops="1e15", no_improvement=8)
    plan, _ = run(2, stop=stop, confirm=sweep_config().confirm)
    assert len(of_kinds(plan, "search", "baseline")) == 5 and len(of_kinds(plan, "confirm")) == 9


def test_a_trial_that_a_limit_ends_is_pruned_in_the_study() -> None:
    most = whole_of_tiny() * 3 // 2
    plan, _ = run(1, baseline=NO_BASELINES, pruner={"name": "none"}, stop=StopConfig(flops=most))
    complete, cut = study_of(plan).trials
    assert (complete.state.name, cut.state.name) == ("COMPLETE", "PRUNED")
    assert len(cut.intermediate_values) == 3
    assert cut.user_attrs["error"] == f"ended by stop.flops={most:,}"


def test_failed_trials_count_what_they_spent() -> None:
    def failing(job: Job, index: int) -> Any:
        if index == 3:
            raise RuntimeError("broken")
        return SyntheticCurves(world=1)(job, index)

    plan, _ = run(1, train=failing, baseline=NO_BASELINES, stop=StopConfig(flops=10**12))
    a_report = whole_of_tiny() // REPORTS
    assert 10**12 <= spent(plan, "search") <= 10**12 + a_report


def whole_of_tiny() -> int:
    config = sweep_config()
    return whole(Scheduler(config, candidates_of(config), None, 1))


@pytest.mark.parametrize(
    ("stop", "message"),
    [
        (
            StopConfig(trials=3),
            r"stop\.trials: given 3; the 3 baseline trials alone reach it\. Give at least 4, ",
        ),
        (
            StopConfig(flops="1G"),
            r"stop\.flops: given '1G'; the 3 baseline trials alone spend [\d,]+ training",
        ),
        (
            StopConfig(flops="a lot"),
            r"stop\.flops: given 'a lot'; must be a whole number of FLOPs such as 1e15",
        ),
    ],
)
def test_limits_that_leave_no_search_are_refused(stop: StopConfig, message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(stop=stop)


@pytest.mark.parametrize(("name", "value"), [("trials", 0), ("hours", 0), ("no_improvement", -1)])
def test_limits_are_above_zero(name: str, value: int) -> None:
    with pytest.raises(UserError, match=rf"stop\.{name}: given {value}; must be"):
        sweep_config(stop=StopConfig(**{name: value}))
