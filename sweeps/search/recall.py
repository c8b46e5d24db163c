"""A plan as it stood when its sweep was stopped: the ledger's events, told to it again in their order.

Whatever was being written when the driver was killed, the ledger is at most one event ahead of the study's
journal and the tables; only a trial that the journal knows and the ledger does not is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sweeps.config import SweepConfig
from sweeps.errors import OutputError
from sweeps.jobs import Job, Outcome, Past, Report
from sweeps.search.extension import limits, with_limits
from sweeps.search.ledger import FILE_NAME, Ended, Event, Ledger, Reported, Revived, Session, Started, read
from sweeps.search.limits import Clock
from sweeps.search.plan import Plan
from sweeps.search.study_journal import JOURNAL, cut_back
from sweeps.space.candidates import Candidates


@dataclass
class _Life:
    job: Job
    started_at: float
    reports: list[Report] = field(default_factory=list)
    outcome: Outcome | None = None


def take_up(
    out: Path, config: SweepConfig, candidates: Candidates, slots: int, memory_bytes: int | None, clock: Clock
) -> tuple[Plan, list[Past], Ledger]:
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
    cut_back(out / JOURNAL, asked)
    start = with_limits(config, first.limits)
    plan = Plan(start, candidates, out / JOURNAL, first.slots, first.memory_bytes, clock)
    past = recall(plan, config, events)
    ledger = Ledger(out / FILE_NAME)
    ledger.write(now)
    return plan, past, ledger


def recall(plan: Plan, config: SweepConfig, events: Iterable[Event]) -> list[Past]:
    """Brings a new plan to where the events lead, its study included.

    Args:
        plan: made for the limits, slots and memory of the first session, on the sweep's own journal (see
            `sweeps.search.study_journal`).
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


def _started(plan: Plan, event: Started) -> Job:
    try:
        job = plan.recall_start(event.number, event.kind)
    except LookupError as error:
        raise _differs(event, str(error)) from None
    if not event.is_of(job):
        raise _differs(event, f"{job.kind} of {job.arm}, seed {job.run.seed}")
    return job


def _ended(plan: Plan, event: Ended, life: _Life) -> Outcome:
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
