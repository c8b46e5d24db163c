"""The words that the search, the processes and the tables speak with each other. Plain data, picklable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from hrm.config.run_config import RunConfig

Kind = Literal["search", "baseline", "random", "confirm"]
Status = Literal["completed", "pruned", "failed"]

OUT_OF_MEMORY = "OutOfMemory"
"""How the error of a job begins for which memory ran out."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training run that a sweep asks for."""

    number: int
    """Unique in the sweep, counting from 0: baselines first, then search trials, then confirmations, whatever
    the order in which slots came free for them."""
    kind: Kind
    arm: str
    """Which configuration it stands for: `trial 7` for a search trial and its confirmations, a preset's
    name for that preset's baseline trials and confirmations."""
    params: dict[str, Any]
    """The space's parameters and derived values, by their names in the space."""
    run: RunConfig
    """Resolved: `train.steps` is this job's own length, or `train.max_flops` where the data decide what a step
    costs; `model` is built for the task."""
    num_params: int
    """Trainable plus puzzle-embedding parameters, exact."""
    flops_per_step: int
    """Training FLOPs of one optimizer step; the most, where the data decide."""
    keep_model: bool = False
    """Keep the trained weights, and tell with the last report what the model answers to a few validation
    examples, segment by segment."""
    read_test: bool = False
    """Evaluate the test split after the last step."""
    may_prune: bool = False
    measure_latency: bool = False
    """Tell with each report how long the device takes for one sequence, as `valid/latency`, in seconds."""
    revived: tuple[Report, ...] = ()
    """What it had reported when it was pruned, of a job that goes on from there."""

    def fraction(self, report: Report) -> float:
        """How much of the run a report has behind it: of its steps, or of its FLOPs where these end it."""
        train = self.run.train
        if train.max_flops is None:
            return report.step / train.steps
        return report.train_flops / train.max_flops


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a running job says at one of its equal fractions."""

    index: int
    """1 to `train.num_reports`."""
    step: int
    """Optimizer steps made so far."""
    train_flops: int
    """Training FLOPs spent so far, exact."""
    train_seconds: float
    """Seconds inside training steps so far."""
    eval_seconds: float
    """Seconds inside evaluations so far."""
    metrics: dict[str, float | None]
    """`train/...` and `valid/...`; on the last report of a `read_test` job also `test/...`."""
    answers: dict[str, Any] | None = None
    """On the last report of a `keep_model` job, see `sweeps.execution.trial`."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Report:
        """Return the report that was stored as plain values; earlier versions also stored `batches`."""
        return cls(**{name: value for name, value in values.items() if name != "batches"})


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a job ended."""

    status: Status
    error: str | None = None
    """The reason of a failure in one line, e.g. `Diverged: loss is nan at step 37`."""
    reports: tuple[Report, ...] = field(default=())
    traceback: str | None = None
    """Where in the code it failed, as Python tells it; None where no code of ours raised."""
    observed_bytes: int | None = None
    """Most memory that a failed job held, as far as known."""


@dataclass(frozen=True, kw_only=True)
class Past:
    """What became of a job before its sweep was stopped."""

    job: Job
    started_at: datetime
    """UTC."""
    reports: tuple[Report, ...]
    outcome: Outcome | None
    """None: it goes on."""
