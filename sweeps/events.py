"""Messages exchanged by the scheduler, the workers and the callbacks, and their log. Plain data, picklable.

A `Job` says what to train. What happens to it is a sequence of events; `Trial` collects them. The event log is the
sequence of all events of a sweep, and `sweeps.scheduler.state` is what they add up to.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from hrm.config.run_config import RunConfig
from hrm.training.progress import Validation
from sweeps.config import update_options

Kind = Literal["search", "baseline", "random", "confirm"]
Status = Literal["completed", "pruned", "failed", "infeasible"]
STATUSES: tuple[Status, ...] = get_args(Status)
"""`infeasible`: a cost that was measured before training broke the budget, and nothing was trained."""


def list_statuses(ended: Iterable[str]) -> list[Status]:
    """Return the statuses to count: `infeasible` only where runs ended so.

    >>> list_statuses(["completed", "failed", "completed"])
    ['completed', 'pruned', 'failed']
    """
    found = set(ended)
    return [status for status in STATUSES if status != "infeasible" or status in found]


OUT_OF_MEMORY = "OutOfMemory"
"""Start of the error of a job that ran out of memory."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training run that the scheduler asks for."""

    number: int
    """Unique in the sweep, from 0: baselines first, then search trials, random search and confirmations, whatever
    the order in which workers became free for them."""
    kind: Kind
    arm: str
    """The configuration it stands for: `trial 7` for a search trial and its confirmations, a preset's name for that
    preset's baseline trials and confirmations."""
    params: dict[str, Any]
    """The space's parameters and derived values, by their names in the space."""
    run: RunConfig
    """Resolved: `train.steps` is this job's own length, or `train.max_flops` where the cost of a step depends on the
    data; `model` is built for the task."""
    num_params: int
    """Trainable plus puzzle-embedding parameters, exact."""
    flops_per_step: int
    """Training FLOPs of one optimizer step; an upper bound where they depend on the data."""
    max_train_flops: int | None = None
    """Training FLOPs that this job may spend of those that `stop.flops` leaves; None if it may spend them all."""
    keep_model: bool = False
    """Keep the trained weights, and return with the last validation what the model answers to a few validation
    examples, segment by segment."""
    read_test: bool = False
    """Evaluate the test split after the last step."""
    may_prune: bool = False
    bounded_costs: tuple[str, ...] = ()
    """Names of measured constraints that the budget bounds: they are measured before the first step."""
    measured_objectives: tuple[str, ...] = ()
    """Names of measured constraints that are objectives: each validation measures them, as `valid/<name>`."""
    resumed_from: tuple[Validation, ...] = ()
    """The validations of a pruned job that is resumed, up to where it was pruned."""

    @property
    def total_train_flops(self) -> int:
        """Training FLOPs of the whole run; an upper bound where they depend on the data."""
        steps = self.run.train.steps * self.flops_per_step
        return min(steps, self.run.train.max_flops or steps)

    def fraction_done(self, validation: Validation) -> float:
        """Return how much of the run is over at a validation: of its steps, or of its FLOPs where these end it."""
        train = self.run.train
        if train.max_flops is None:
            return validation.step / train.steps
        return validation.train_flops / train.max_flops


@dataclass(frozen=True, kw_only=True)
class SessionStarted:
    """A driver has started or resumed the sweep."""

    limits: Mapping[str, Any]
    """Where the sweep ends from now on, by dotted option name (see `sweeps.scheduler.resume`)."""
    slots: int
    """Jobs that run at once; the first session's decides what a deterministic search may know."""
    memory_bytes: int | None
    """What one trial may use; the first session's decides which presets are baselines."""


@dataclass(frozen=True, kw_only=True)
class Started:
    """A job has been handed out for the first time."""

    number: int
    kind: Kind
    arm: str
    seed: int
    time: float = field(default_factory=time.time)
    """Seconds since 1970."""

    @classmethod
    def from_job(cls, job: Job) -> Started:
        """Build the event of a job that starts now."""
        return cls(number=job.number, kind=job.kind, arm=job.arm, seed=job.run.seed)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A job has measured the costs that the budget bounds, before its first step."""

    number: int
    costs: Mapping[str, float]
    """By the name of each constraint in `bounded_costs`."""


@dataclass(frozen=True, kw_only=True)
class Validated:
    """A running job has validated."""

    number: int
    validation: Validation


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A job has ended."""

    number: int
    status: Status
    error: str | None = None
    """The reason of a failure, or the limit that ended it, in one line, e.g. `Diverged: loss is nan at step 37`."""
    traceback: str | None = None
    """Python's traceback; None where no code of ours raised."""
    observed_bytes: int | None = None
    """Most memory that a failed job held, as far as known."""


@dataclass(frozen=True, kw_only=True)
class Resumed:
    """A pruned job has been handed out again, to be trained to its end."""

    number: int


@dataclass(frozen=True, kw_only=True)
class SearchEnded:
    """No more search trials start in this session."""

    note: str | None = None
    """Why, for the report; None when all trials that were asked for have started."""


@dataclass(frozen=True, kw_only=True)
class TimeExpired:
    """`stop.hours` was reached: nothing starts any more in this session."""

    notes: tuple[str, ...]
    """What the report should say about it."""


Event = SessionStarted | Started | Measured | Validated | Ended | Resumed | SearchEnded | TimeExpired


@dataclass
class Trial:
    """A job and what has happened to it so far."""

    job: Job
    started_at: float
    """Seconds since 1970."""
    measured: Mapping[str, float] | None = None
    """Costs that were measured before training; None before they are."""
    validations: list[Validation] = field(default_factory=list)
    ended: Ended | None = None
    """None while it runs."""

    @property
    def number(self) -> int:
        return self.job.number

    @property
    def last(self) -> Validation | None:
        """The last validation; None before the first."""
        return self.validations[-1] if self.validations else None

    @property
    def train_flops(self) -> int:
        """Training FLOPs so far, as last reported."""
        return self.last.train_flops if self.last else 0

    @property
    def is_running(self) -> bool:
        return self.ended is None

    @property
    def is_completed(self) -> bool:
        return self.ended is not None and self.ended.status == "completed"

    @property
    def is_pruned(self) -> bool:
        return self.ended is not None and self.ended.status == "pruned"


EVENT_LOG = "jobs.jsonl"
"""The event log: the events of a sweep, one JSON line each, in order. A sweep is resumed from it.

Each line is on disk before anyone else learns of its event: the study's journal, the tables and the callbacks are
at most one event behind, and are brought up to date when the sweep is resumed.
"""

_NAMES = {kind: kind.__name__.lower() for kind in get_args(Event)}
_KINDS: dict[str, type[Any]] = {name: kind for kind, name in _NAMES.items()}
_OLD_NAMES = {"session": "sessionstarted", "reported": "validated", "revived": "resumed"}
"""Names of events in the logs of versions before 0.2."""


class EventLog:
    """Appends events to a file.

    Args:
        path: made when missing. A last line that a killed writer left unfinished is removed.

    Raises:
        OSError: the file cannot be written, now or by `write`.
    """

    def __init__(self, path: Path) -> None:
        size = len(_read_whole_lines(path))
        # Unbuffered: a line that could not be written must not be tried again after the next one.
        self._file = path.open("ab", buffering=0)
        self._file.truncate(size)

    def write(self, event: Event) -> None:
        """Append an event; it is on disk when this returns."""
        values = {"event": _NAMES[type(event)], **dataclasses.asdict(event)}
        line = json.dumps(values, separators=(",", ":")).encode() + b"\n"
        if self._file.write(line) != len(line):
            raise OSError(f"{self._file.name}: only a part of a line could be written")
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_events(path: Path) -> Iterator[Event]:
    """Yield the file's events, in order; none where there is no file."""
    for line in _read_whole_lines(path).splitlines():
        values = json.loads(line)
        name = values.pop("event")
        kind = _KINDS[_OLD_NAMES.get(name, name)]
        if kind is SessionStarted:
            values["limits"] = update_options(values["limits"])
        if kind is Validated:
            content = values.get("validation") or values["report"]
            values = {"number": values["number"], "validation": Validation.from_dict(content)}
        yield kind(**values)


def _read_whole_lines(path: Path) -> bytes:
    content = path.read_bytes() if path.exists() else b""
    return content[: content.rfind(b"\n") + 1]
