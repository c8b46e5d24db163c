"""Real local Ray: every job is accounted for, workers are used again, and Ray decides nothing."""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hrm.data.registry import get_task_class, open_task
from sweeps.callbacks.base import Callback
from sweeps.config import BaselineConfig, BudgetConfig, ConfirmConfig, SweepConfig, SweepTrainConfig
from sweeps.errors import ResourceError
from sweeps.events import Trial
from sweeps.execution.checkpoints import CheckpointManager
from sweeps.execution.resources import Allocation, Machine
from sweeps.results.tables import read_trials
from sweeps.scheduler.scheduler import Scheduler
from sweeps.scheduler.trial_runner import TrialRunner
from sweeps.space.candidates import Candidates
from tests.sweeps.search_cases import Outcome, decisions, jobs_of, outcomes_of, simulate
from tests.sweeps.small_jobs import (
    DIVERGES,
    MODEL,
    NEEDS_TOO_MUCH_MEMORY,
    RAISES,
    TASK,
    ScriptedScheduler,
    small_job,
)

ROOT = Path(__file__).resolve().parents[3]

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

ALLOCATION = Allocation(num_workers=2, cpus_per_trial=1, gpus_per_trial=0.0)


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """Yield one local Ray that all tests share."""
    from sweeps.execution import ray_tune

    with ray_tune.connect(None, Machine(num_cpus=2, num_gpus=0)) as connection:
        yield connection


def run(ray: Any, plan: Any, out: Path, *callbacks: Callback, max_failures: int = 0) -> None:
    ray.run(TrialRunner(plan, callbacks, max_failures=max_failures), ALLOCATION, CheckpointManager(out, 0.0))


def worker_pids() -> set[int]:
    """Return the worker processes of this process's Ray, training or idle."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    children: dict[int, list[int]] = {}
    for pid, parent, _ in rows:
        children.setdefault(int(parent), []).append(int(pid))
    descendants = set(itertools.chain.from_iterable(children.get(pid, []) for pid in children[os.getpid()]))
    return {int(pid) for pid, _, args in rows if int(pid) in descendants and args.startswith("ray::Worker")}


class Watcher(Callback):
    """Notes which workers are alive, and kills them at the first validation of one job."""

    def __init__(self, victim: int) -> None:
        self._victim = victim
        self.pids: dict[int, set[int]] = {}
        """Workers alive at the last validation of each job."""

    def on_validation(self, trial: Trial) -> None:
        self.pids[trial.number] = worker_pids()
        if trial.number == self._victim and len(trial.validations) == 1:
            for pid in worker_pids():
                os.kill(pid, signal.SIGKILL)


def test_every_end_of_a_job_is_reported_once_and_the_sweep_continues(ray: Any, tmp_path: Path) -> None:
    faults = {1: RAISES, 2: DIVERGES, 4: NEEDS_TOO_MUCH_MEMORY}
    jobs = [small_job(number, **faults.get(number, {})) for number in range(12)]
    jobs[7] = dataclasses.replace(jobs[7], run=jobs[7].run.replace(**{"train.steps": 400}))
    plan, watcher = ScriptedScheduler(jobs, prune={5: 2}, barrier=8), Watcher(victim=7)
    run(ray, plan, tmp_path, watcher, max_failures=2)
    assert sorted(outcomes_of(plan)) == list(range(12))
    status = {number: outcome.status for number, outcome in outcomes_of(plan).items()}
    errors = {
        number: outcome.error for number, outcome in outcomes_of(plan).items() if outcome.status == "failed"
    }
    assert status[5] == "pruned"
    assert [report.index for report in outcomes_of(plan)[5].reports] == [1, 2]
    assert errors.keys() == {1, 2, 4}, "what the machine fails is run again, what fails by itself is not"
    assert str(errors[1]).startswith("DataError: ")
    assert str(errors[2]).startswith("Diverged: ")
    assert str(errors[4]).startswith("OutOfMemory: ")
    assert (plan.state.trials[4].ended.observed_bytes or 0) > 2**20
    for number in (0, 3, 6, 7, 8, 9, 10, 11):
        assert status[number] == "completed"
        assert [report.index for report in outcomes_of(plan)[number].reports] == [1, 2, 3, 4]
    # Failures that Python can tell cost no worker: three of them, and two workers are still at it.
    assert len(set.union(*(watcher.pids[number] for number in (0, 3, 5)))) <= 2


def test_a_worker_that_starts_late_gets_its_share_of_short_jobs(
    ray: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sweeps.execution import ray_tune
    from sweeps.execution import worker as ray_worker

    class OneStartsLate(ray_worker.Worker):
        def setup(self, config: dict) -> None:
            try:
                os.mkdir(tmp_path / "first")
            except FileExistsError:
                time.sleep(2)
            super().setup(config)

        def reset_config(self, new_config: dict) -> bool:
            if "job" in new_config:
                (tmp_path / f"{new_config['job'].number}.pid").write_text(str(os.getpid()))
            return super().reset_config(new_config)

    monkeypatch.setattr(ray_tune, "Worker", OneStartsLate)
    run(ray, ScriptedScheduler([small_job(number) for number in range(4)], prune={}, barrier=4), tmp_path)
    assert (tmp_path / "0.pid").read_text() != (tmp_path / "1.pid").read_text()


SPACE: dict[str, Any] = {
    "name": "small",
    "question": "Where do the layers go?",
    "parameters": {"H_layers": [1, 2], "L_layers": [1, 2], "lr": {"log": [1e-4, 1e-1], "num": 4}},
    "fixed": {
        name: MODEL[name] for name in ("hidden_size", "num_heads", "H_cycles", "L_cycles", "mlp_multiple")
    },
}
CONFIG = SweepConfig(
    space=SPACE,
    task=TASK,
    model={"halt_max_steps": 1, "forward_dtype": "float32"},
    train=SweepTrainConfig(steps=12, num_reports=4, batch_size=8, equal="steps"),
    budget=BudgetConfig(max_params="1M"),
    num_trials=8,
    baseline=BaselineConfig(presets=[]),
    confirm=ConfirmConfig(finalists=1, seeds=2),
    pruner={"name": "median", "n_startup_trials": 1, "n_warmup_steps": 0},
)


def make_plan() -> Scheduler:
    task = get_task_class(TASK["name"])(**TASK)
    candidates = Candidates(CONFIG, open_task(task).model_fields)
    return Scheduler(CONFIG, candidates, None, ALLOCATION.num_workers)


def read_decisions(plan: Scheduler) -> list[Any]:
    """Return decisions and numbers, without the seconds, which differ between runs."""

    def timeless(outcome: Outcome) -> Outcome:
        reports = [dataclasses.replace(one, train_seconds=0.0, eval_seconds=0.0) for one in outcome.reports]
        return outcome._replace(reports=tuple(reports))

    return [(job, timeless(outcome), trial) for job, outcome, trial in decisions(plan)]


def test_two_workers_decide_alike_each_time_and_as_the_simulator_does(ray: Any, tmp_path: Path) -> None:
    plans = [make_plan(), make_plan()]
    for plan in plans:
        run(ray, plan, tmp_path)
    first, second = plans
    assert read_decisions(first) == read_decisions(second)
    assert len(jobs_of(first)) == 8 + 2
    assert {outcome.status for outcome in outcomes_of(first).values()} == {"completed", "pruned"}

    curves = {number: outcome.reports for number, outcome in outcomes_of(first).items()}
    simulated = make_plan()
    simulate(simulated, ALLOCATION.num_workers, lambda job, index: curves[job.number][index - 1])
    assert read_decisions(simulated) == read_decisions(first)


@pytest.mark.slow
def test_a_running_cluster_is_joined_with_our_code_sent_along(ray: Any, tmp_path: Path) -> None:
    """Join it from another process in another folder, where `ray.address=auto` finds it."""
    from sweeps.execution import ray_tune

    address = ray_tune.ray.get_runtime_context().gcs_address
    space = tmp_path / "mine.yaml"
    space.write_text(json.dumps(SPACE | {"run": {"task": TASK, "budget": {"max_params": "1M"}}}))
    options = [
        "model.halt_max_steps=1",
        "model.forward_dtype=float32",
        "train.steps=8",
        "train.num_reports=2",
    ]
    options += [
        "num_trials=2",
        "baseline.presets=[]",
        "confirm.finalists=0",
        "wandb.mode=disabled",
        "out=found",
    ]
    done = subprocess.run(
        [sys.executable, str(ROOT / "run_sweep.py"), f"space={space}", "ray.address=auto", *options],
        cwd=tmp_path,
        env=os.environ | {"RAY_ADDRESS": address},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert "in 2 slots" in done.stderr
    assert [row["status"] for row in read_trials(tmp_path / "found").to_pylist()] == ["completed"] * 2


def test_an_error_of_a_callback_is_raised_unchanged(ray: Any, tmp_path: Path) -> None:
    class Full(Callback):
        def on_validation(self, trial: Trial) -> None:
            raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left on device"):
        run(ray, ScriptedScheduler([small_job(0)], {}, barrier=1), tmp_path, Full())


def test_data_that_come_along_lie_once_on_a_machine(ray: Any) -> None:
    """Check that all who get them from Ray's object store read the same bytes, and cannot change them."""
    from sweeps.execution import ray_tune

    dataset = open_task(get_task_class(TASK["name"])(**TASK))
    stored = ray_tune.store_dataset(dataset)
    first, second = (ray_tune.ray.get(stored).dataset for _ in range(2))
    for split in ("valid", "test"):
        arrays = [getattr(one, split).inputs for one in (first, second)]
        assert np.shares_memory(*arrays) and not any(array.flags.writeable for array in arrays)
    for name, array in dataset.get_train_batch(3, 8, 0).items():
        assert (first.get_train_batch(3, 8, 0)[name] == array).all()


def test_private_names_of_ray_are_what_we_take_them_for(ray: Any) -> None:
    """Check those of `ray_cluster.py`; the workers of the tests above are kept by `keep_idle_workers`."""
    from sweeps.execution import ray_cluster

    worker, printed = ray_cluster.ray._private.worker, io.StringIO()
    worker.print_worker_logs({"lines": ["a worker died"], "pid": "raylet", "ip": "", "job": ""}, printed)
    assert printed.getvalue() == "", "silence_ray keeps the raylet's messages off the terminal"
    assert {"raylet", "gcs_server"} <= set(worker._global_node.all_processes), (
        "is_local_ray_dead looks for them"
    )
    assert not ray_cluster.is_local_ray_dead()
    assert ray_cluster.resolve_address("127.0.0.1:6379").endswith(":6379")


@pytest.mark.parametrize(
    ("address", "part"),
    [
        ("127.0.0.1:1", "refused"),
        ("nonsense", "Invalid address"),
        ("ray://127.0.0.1:1", "run the sweep on a machine of the cluster"),
    ],
)
def test_a_cluster_that_is_not_there(address: str, part: str) -> None:
    from sweeps.execution import ray_tune

    with (
        pytest.raises(ResourceError, match=part),
        ray_tune.connect(address, Machine(num_cpus=1, num_gpus=0)),
    ):
        pass
