"""A budget on what only a trial's device can tell: its latency."""

from __future__ import annotations

import math
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from benchmarks.simulator import Simulator
from hrm.config.errors import ConfigError
from sweeps.config import BudgetConfig, ConfirmConfig, SweepConfig
from sweeps.events import EVENT_LOG, Ended, EventLog, Job, Measured, Started, read_events
from sweeps.results.output_dir import JOURNAL
from sweeps.scheduler.resume import restore
from sweeps.scheduler.scheduler import Scheduler
from sweeps.scheduler.stopping import start_clock
from sweeps.scheduler.trial_runner import TrialRunner
from sweeps.space.candidates import Candidates
from tests.sweeps.small_jobs import ScriptedScheduler, small_job
from tests.sweeps.synthetic_sweep import MODEL_FIELDS, make_report, sweep_config

MOST = 0.02


def bounded(**overrides: Any) -> SweepConfig:
    budget = BudgetConfig(max_params="tiny_demo", min_params=0.8, max_latency="20ms")
    values = {"deterministic": False, "num_trials": 12, "sampler": {"name": "tpe", "n_startup_trials": 4}}
    return sweep_config(budget=budget, confirm=ConfirmConfig(finalists=2, seeds=2), **values | overrides)


def latency(job: Job) -> float:
    """The deeper, the slower: about half of the shapes are too slow."""
    return MOST * (job.run.model.H_layers + job.run.model.L_layers) / 8.5


def simulate(scheduler: Scheduler, log: EventLog | None = None) -> None:
    runner = TrialRunner(scheduler, [], log)
    runner.resume()
    Simulator(runner, make_report, slots=2, measure=lambda job: {"latency": latency(job)}).run()


def test_it_needs_a_sweep_that_may_depend_on_the_machine() -> None:
    with pytest.raises(ConfigError, match=r"budget\.max_latency: given '20ms'; needs deterministic=false"):
        bounded(deterministic=True)


def test_what_is_too_slow_is_recorded_and_the_study_knows_it(tmp_path: Path) -> None:
    config = bounded()
    candidates = Candidates(config, MODEL_FIELDS)
    scheduler = Scheduler(config, candidates, tmp_path / JOURNAL, slots=2)
    simulate(scheduler)
    search = scheduler.state.of_kind("search")
    slow = [trial for trial in search if latency(trial.job) > MOST]
    assert 0 < len(slow) < len(search) == 12
    for trial in search:
        assert trial.ended is not None
        assert (trial.ended.status == "infeasible") == (trial in slow)
        assert trial.measured == {"latency": latency(trial.job)}
    for trial in slow:
        assert trial.ended is not None and not trial.validations
        measured = f"(measured: latency {latency(trial.job):.4g})"
        assert trial.ended.error == f"exceeds budget.max_latency=0.02 {measured}"
    confirmed = [trial.job for trial in scheduler.state.of_kind("confirm")]
    assert confirmed and all(latency(job) <= MOST and not job.bounded_costs for job in confirmed)

    storage = JournalStorage(JournalFileBackend(str(tmp_path / JOURNAL)))
    [summary] = optuna.get_all_study_summaries(storage)
    trials = optuna.load_study(study_name=summary.study_name, storage=storage).trials
    for trial, of_study in zip(sorted(search, key=lambda one: one.number), trials, strict=True):
        broken = math.log(latency(trial.job) / MOST)
        assert of_study.constraints == pytest.approx({"latency": broken})
        assert (of_study.state.name == "PRUNED" and not of_study.intermediate_values) == (broken > 0)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole sweep."""
    out, config = tmp_path_factory.mktemp("ended"), bounded()
    scheduler, log = restore(out, config, Candidates(config, MODEL_FIELDS), 2, None, start_clock())
    with closing(log):
        simulate(scheduler, log)
    return out


@pytest.mark.parametrize("kind", [Started, Measured, Ended])
def test_a_measurement_that_was_logged_is_not_made_again(kind: type, ended: Path, tmp_path: Path) -> None:
    """The sweep is stopped after an event of a slow trial; resumed, it measures only what its log lacks."""
    events = list(read_events(ended / EVENT_LOG))
    slow = {one.number for one in events if isinstance(one, Ended) and one.status == "infeasible"}
    last = max(i for i, one in enumerate(events) if isinstance(one, kind) and one.number in slow)
    shutil.copytree(ended, tmp_path, dirs_exist_ok=True)
    path = tmp_path / EVENT_LOG
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[: last + 1]))
    measured = {one.number for one in events[: last + 1] if isinstance(one, Measured)}

    again: list[int] = []

    def measure(job: Job) -> dict[str, float]:
        again.append(job.number)
        return {"latency": latency(job)}

    config = bounded()
    scheduler, log = restore(tmp_path, config, Candidates(config, MODEL_FIELDS), 2, None, start_clock())
    with closing(log):
        runner = TrialRunner(scheduler, [], log)
        runner.resume()
        Simulator(runner, make_report, slots=2, measure=measure).run()
    assert not measured.intersection(again) and len(set(again)) == len(again)
    for trial in scheduler.state.trials.values():
        assert trial.ended is not None
        is_slow = trial.job.kind != "confirm" and latency(trial.job) > MOST
        assert (trial.ended.status == "infeasible") == is_slow


def test_a_job_that_lost_its_worker_keeps_its_measurement() -> None:
    scheduler = ScriptedScheduler([small_job(number, bounded_costs=("latency",)) for number in range(2)])
    runner = TrialRunner(scheduler, max_failures=1)
    first, second = runner.next_job(), runner.next_job()
    assert isinstance(first, Job) and first.bounded_costs == ("latency",) and isinstance(second, Job)
    assert not runner.measure(Measured(number=0, costs={"latency": 0.5}))
    assert runner.measure(Measured(number=1, costs={"latency": 2.0})), "it is over"
    assert runner.measure(Measured(number=1, costs={"latency": 2.0})), "and stays so"
    runner.lose(0, "lost")
    again = runner.next_job()
    assert isinstance(again, Job) and again.number == 0 and again.bounded_costs == ()
    events = [type(event) for event in scheduler.events]
    assert events == [Started, Started, Measured, Measured, Ended]
    assert scheduler.state.trials[1].ended == Ended(number=1, status="infeasible", error="too slow")
