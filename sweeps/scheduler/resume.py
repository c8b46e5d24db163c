"""A plan as it stood when its sweep was stopped: the ledger's events, told to it again in their order.

Whatever was being written when the driver was killed, the ledger is at most one event ahead of the study's
journal and the tables; only a trial that the journal knows and the ledger does not is forgotten.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hrm.config.errors import ConfigError
from sweeps.config import SweepConfig
from sweeps.errors import OutputError
from sweeps.events import Job, Outcome, Past, Report
from sweeps.quantities import TRAINING_FLOPS, parse_count
from sweeps.scheduler.event_log import (
    FILE_NAME,
    Ended,
    Event,
    EventLog,
    Reported,
    Revived,
    Session,
    Started,
    read,
)
from sweeps.scheduler.phases.baseline import num_baseline_trials
from sweeps.scheduler.scheduler import Scheduler
from sweeps.scheduler.stopping import Clock
from sweeps.search.storage import JOURNAL, repair_journal
from sweeps.space.candidates import Candidates

LIMITS = (
    "num_trials", "revive", "baseline.trials", "confirm.finalists", "confirm.seeds",
    "stop.trials", "stop.hours", "stop.flops", "stop.no_improvement",
)  # fmt: skip
"""Options, by dotted name, of which a higher value extends the sweep."""
PER_SESSION = "stop.hours"
"""The one limit that counts anew when a sweep goes on, and so may be lower then."""
FREE = ("max_concurrent", "max_failures", "checkpoint_seconds", "resources", "ray", "wandb", "out", "dry_run")
"""Options and sections that say how and where jobs run, not what they are."""


def limits(config: SweepConfig) -> dict[str, Any]:
    """The values of `LIMITS`, by dotted name."""
    values = flat(dataclasses.asdict(config))
    return {name: values[name] for name in LIMITS}


def with_limits(config: SweepConfig, values: Mapping[str, Any]) -> SweepConfig:
    """The configuration with these values of `LIMITS`."""
    sections: dict[str, dict[str, Any]] = {}
    tops: dict[str, Any] = {}
    for name, value in values.items():
        section, _, option = name.rpartition(".")
        if section:
            sections.setdefault(section, {})[option] = value
        else:
            tops[option] = value
    changed = {
        name: dataclasses.replace(getattr(config, name), **options) for name, options in sections.items()
    }
    return dataclasses.replace(config, **tops, **changed)


def check(stored: SweepConfig, asked: SweepConfig) -> None:
    """Makes sure that the sweep that is asked for goes on with the stored one.

    Raises:
        ConfigError: what decides its trials differs, each difference named; or a limit is lower.
    """
    before, after = flat(dataclasses.asdict(stored)), flat(dataclasses.asdict(asked))
    for name in LIMITS:
        if name == PER_SESSION:
            continue
        old, new = _effective(name, stored), _effective(name, asked)
        if new < old:
            least = "stay null: the sweep was to go on without this limit"
            if old < math.inf:
                least = f"be at least {old:g}, as far as the sweep was to go already"
            raise ConfigError(name, new, f"must {least}")
    differing = [
        name
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name) and name not in LIMITS and name.split(".")[0] not in FREE
    ]
    if differing:
        shown = "; ".join(f"{name} is {before.get(name)!r}, not {after.get(name)!r}" for name in differing)
        raise ConfigError(
            "resume", asked.out, f"must go on as it began: {shown}",
            "Leave that out to go on, or start a new sweep in another folder",
        )  # fmt: skip


def _effective(name: str, config: SweepConfig) -> float:
    if name == "baseline.trials":
        return num_baseline_trials(config)
    value = flat(dataclasses.asdict(config))[name]
    if value is None:
        return math.inf
    return parse_count(value, TRAINING_FLOPS, name) if name == "stop.flops" else value


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings by dotted name."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


@dataclass
class _Life:
    job: Job
    started_at: float
    reports: list[Report] = field(default_factory=list)
    outcome: Outcome | None = None


def restore(
    out: Path, config: SweepConfig, candidates: Candidates, slots: int, memory_bytes: int | None, clock: Clock
) -> tuple[Scheduler, list[Past], EventLog]:
    """The plan of the sweep in a folder, where it stands, which is nowhere in a new one.

    Args:
        config: the sweep's, with the limits that hold from now on.
        slots: jobs that run at once, for a new sweep; one that goes on keeps its own, for its decisions.
        memory_bytes: what one trial may use, likewise.
        clock: of this session, for the sweep's limit in time.

    Returns:
        The plan, what became of the jobs that it has started, and the ledger, which the caller closes.

    Raises:
        OutputError: see `recall`.
    """
    events = list(read(out / FILE_NAME))
    now = Session(limits=limits(config), slots=slots, memory_bytes=memory_bytes)
    first = events[0] if events else now
    assert isinstance(first, Session)
    asked = sum(
        isinstance(event, Revived) or (isinstance(event, Started) and event.kind == "search")
        for event in events
    )
    repair_journal(out / JOURNAL, asked)
    start = with_limits(config, first.limits)
    plan = Scheduler(start, candidates, out / JOURNAL, first.slots, first.memory_bytes, clock)
    past = recall(plan, config, events)
    ledger = EventLog(out / FILE_NAME)
    ledger.write(now)
    return plan, past, ledger


def recall(plan: Scheduler, config: SweepConfig, events: Iterable[Event]) -> list[Past]:
    """Brings a new plan to where the events lead, its study included.

    Args:
        plan: made for the limits, slots and memory of the first session, on the sweep's own journal (see
            `sweeps.search.storage`).
        config: the sweep's configuration; each session sets its limits.
        events: all of the ledger's.

    Returns:
        Every job that was started, in that order.

    Raises:
        OutputError: the plan would have started another job: code or packages decide differently now.
    """
    lives: dict[int, _Life] = {}
    reached = None
    for event in events:
        if isinstance(event, Session):
            if reached is not None and event.limits != reached:
                plan.extend(with_limits(config, event.limits))
            reached = event.limits
        elif isinstance(event, Started):
            lives[event.number] = _Life(_started(plan, event), event.time)
        elif isinstance(event, Revived):
            life = lives[event.number]
            life.job, life.outcome = plan.recall_revival(event.number), None
        elif isinstance(event, Reported):
            plan.recall_report(event.number, event.report)
            lives[event.number].reports.append(event.report)
        else:
            lives[event.number].outcome = _ended(plan, event, lives[event.number])
    plan.settle()
    if reached is not None and limits(config) != reached:
        plan.extend(config)
    return [
        Past(
            job=life.job,
            started_at=datetime.fromtimestamp(life.started_at, UTC),
            reports=tuple(life.reports),
            outcome=life.outcome,
        )
        for life in lives.values()
    ]


def _started(plan: Scheduler, event: Started) -> Job:
    try:
        job = plan.recall_start(event.number, event.kind)
    except LookupError as error:
        raise _differs(event, str(error)) from None
    if not event.is_of(job):
        raise _differs(event, f"{job.kind} of {job.arm}, seed {job.run.seed}")
    return job


def _ended(plan: Scheduler, event: Ended, life: _Life) -> Outcome:
    outcome = Outcome(
        status=event.status,
        error=event.error,
        traceback=event.traceback,
        reports=tuple(life.reports),
        observed_bytes=event.observed_bytes,
    )
    plan.recall_end(event.number, outcome)
    return outcome


def _differs(event: Started, now: str) -> OutputError:
    return OutputError(
        "resume", f"job {event.number} ({event.kind} of {event.arm}, seed {event.seed})",
        f"would be another one now: {now}",
        "Go on with the code and the packages that the sweep was started with",
    )  # fmt: skip
