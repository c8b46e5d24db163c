"""Jobs that train in a fraction of a second, and ways for them to fail."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from hrm.config.run_config import RunConfig
from hrm.models.registry import get_family
from sweeps.events import Ended, Event, Job, Started, Status, Trial, Validation
from sweeps.scheduler.phases.base import DONE, WAIT, Done, Wait
from sweeps.scheduler.scheduler import Stop
from sweeps.scheduler.state import SweepState

MODEL: dict[str, Any] = {
    "hidden_size": 16,
    "num_heads": 2,
    "H_layers": 1,
    "L_layers": 1,
    "H_cycles": 1,
    "L_cycles": 1,
    "mlp_multiple": 16,
    "halt_max_steps": 1,
    "forward_dtype": "float32",
    "seq_len": 16,
}
TASK: dict[str, Any] = {"name": "sudoku4", "train_puzzles": 32, "valid_puzzles": 16, "test_puzzles": 16}
TRAIN: dict[str, Any] = {"steps": 8, "num_reports": 4, "batch_size": 8, "lr": 1e-3}


def small_job(number: int, **changes: Any) -> Job:
    """Four reports of two steps each. Dotted names change its run, for example `{"train.lr": 1e30}`."""
    of_job = {
        name: changes.pop(name)
        for name in ("read_test", "keep_model", "kind", "may_prune", "measured_objectives", "bounded_costs")
        if name in changes
    }
    task = changes.pop("task", TASK)
    run = RunConfig.from_dict({"model": MODEL, "task": task, "train": TRAIN, "seed": number, "threads": 1})
    run = run.replace(**changes)
    counts = get_family(run.family).count(run.model, run.train.batch_size, run.train)
    return dataclasses.replace(
        Job(
            number=number,
            kind="search",
            arm=f"trial {number}",
            params={},
            run=run,
            num_params=counts.params,
            flops_per_step=counts.flops_per_step,
        ),
        **of_job,
    )


RAISES = {"task": {"name": "/nowhere/at/all"}}
DIVERGES = {"train.lr": 1e30}
NEEDS_TOO_MUCH_MEMORY = {"model.hidden_size": 2**21, "model.num_heads": 2**20}


def ended_trial(
    job: Job, validations: Sequence[Validation] = (), status: Status = "completed", error: str | None = None
) -> Trial:
    """Return a trial of the job that has ended."""
    ended = Ended(number=job.number, status=status, error=error)
    return Trial(job, started_at=0.0, validations=list(validations), ended=ended)


class ScriptedScheduler:
    """Gives the jobs of a list, prunes as told, and waits for all before the last ones.

    Args:
        prune: job number to the validation at which it is pruned.
        barrier: how many jobs must have ended before the others start; None waits for nothing.
    """

    def __init__(
        self, jobs: Sequence[Job], prune: Mapping[int, int] | None = None, barrier: int | None = None
    ) -> None:
        self._jobs, self._prune, self._barrier = {job.number: job for job in jobs}, prune or {}, barrier
        self.state = SweepState()
        self.events: list[Event] = []

    def next(self) -> Job | Wait | Done:
        num_started = len(self.state.trials)
        if num_started == self._barrier and self.state.num_running:
            return WAIT
        if num_started == len(self._jobs):
            return WAIT if self.state.num_running else DONE
        return list(self._jobs.values())[num_started]

    def find_expiry(self) -> None:
        return None

    def describe_violation(self, number: int) -> str | None:
        return "too slow" if (self.state.running(number).measured or {}).get("latency", 0.0) > 1 else None

    def must_stop(self, number: int) -> Stop | None:
        last = self.state.running(number).last
        return Stop() if last is not None and self._prune.get(number) == last.index else None

    def apply(self, event: Event) -> None:
        self.events.append(event)
        self.state.apply(event, self._jobs[event.number] if isinstance(event, Started) else None)
