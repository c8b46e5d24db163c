"""The same command and seed give the same decisions, whatever the speed of the workers."""

from __future__ import annotations

import functools
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.simulator import Slowness
from benchmarks.synthetic_curves import SyntheticCurves
from sweeps.events import Job, Validation
from sweeps.scheduler.scheduler import Scheduler
from sweeps.search.constrained_sampler import REJECTED
from sweeps.search.pruners import PRUNERS
from sweeps.search.samplers import SAMPLERS
from tests.sweeps.search_cases import (
    NO_CONFIRMATION,
    PRUNER_SECTIONS,
    UNLISTED_SPACE,
    decisions,
    jobs_of,
    make_plan,
    search_jobs,
    simulate,
    study_of,
)

CURVES = SyntheticCurves(world=3, noise=0.05)


def sometimes_failing(job: Job, index: int) -> Validation:
    """Fail every seventh job, at a validation that depends on the job: some before their first."""
    if job.number % 7 == 3 and index > job.number % 3:
        raise RuntimeError("out of memory")
    return CURVES(job, index)


def erratic(seed: int) -> Slowness:
    """Make workers up to 400 times slower than each other, and a different one slow at every validation."""

    def draw_slowness(job: Job, index: int) -> float:
        return 20 ** random.Random(f"{seed} {job.number} {index}").uniform(-1, 1)

    return draw_slowness


def sweep(slots: int, slowness: Slowness | None, **overrides: Any) -> Scheduler:
    plan = make_plan(slots, num_trials=9, **overrides)
    simulate(plan, slots, sometimes_failing, slowness)
    return plan


@functools.cache
def with_equal_workers(slots: int, sampler: str, pruner: str) -> list[tuple[Any, ...]]:
    return decisions(sweep(slots, None, sampler={"name": sampler}, pruner=PRUNER_SECTIONS[pruner]))


@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [*((sampler, "successive_halving") for sampler in SAMPLERS), *(("tpe", pruner) for pruner in PRUNERS)],
)
def test_decisions_do_not_depend_on_which_worker_was_faster(sampler: str, pruner: str) -> None:
    @settings(max_examples=1 if sampler == "gp" else 4, deadline=None, derandomize=True, database=None)
    @given(slots=st.integers(2, 4), seed=st.integers(0, 10**6))
    def check(slots: int, seed: int) -> None:
        erratically = sweep(slots, erratic(seed), sampler={"name": sampler}, pruner=PRUNER_SECTIONS[pruner])
        assert decisions(erratically) == with_equal_workers(slots, sampler, pruner)

    check()


def test_nor_do_those_of_a_sampler_with_constraint_feedback() -> None:
    options = {"sampler": {"name": "tpe"}, "space": UNLISTED_SPACE, "confirm": NO_CONFIRMATION}
    evenly, erratically = (sweep(2, slowness, **options) for slowness in (None, erratic(1)))
    assert decisions(erratically) == decisions(evenly)
    assert any(REJECTED in trial.user_attrs for trial in study_of(evenly).get_trials())


@settings(max_examples=10, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 10**6))
def test_one_slot_needs_no_determinism(seed: int) -> None:
    free = sweep(1, erratic(seed), deterministic=False)
    assert decisions(free) == with_equal_workers(1, "tpe", "successive_halving")


def test_without_determinism_the_speed_of_workers_does_matter() -> None:
    """The mode exists for this; otherwise the tests above would show nothing."""
    runs = {str(decisions(sweep(3, erratic(seed), deterministic=False))) for seed in range(4)}
    assert len(runs) > 1


def test_the_search_is_not_blind_to_its_results() -> None:
    """Otherwise the tests above would show nothing either."""
    plans = []
    for world in (3, 4):
        plan = make_plan(2, num_trials=9)
        simulate(plan, 2, SyntheticCurves(world))
        plans.append([jobs_of(plan)[number].params for number in search_jobs(plan)])
    assert plans[0][:3] == plans[1][:3] and plans[0] != plans[1]


def test_another_seed_gives_another_search() -> None:
    first, second = (sweep(2, None, seed=seed) for seed in (0, 1))
    assert [job.params for job in jobs_of(first).values()] != [job.params for job in jobs_of(second).values()]
