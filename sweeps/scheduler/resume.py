"""Resuming a sweep: its event log is read back into a new scheduler, event by event, as if they happened now.

Whatever was being written when the driver was killed, the event log is at most one event ahead of the study's journal
and the tables; only a trial that the journal knows and the event log does not is forgotten.
"""

from __future__ import annotations

from pathlib import Path

from sweeps.config import SweepConfig
from sweeps.events import Resumed, SessionStarted, Started
from sweeps.scheduler.event_log import FILE_NAME, EventLog, read_events
from sweeps.scheduler.resume_overrides import read_limits, with_limits
from sweeps.scheduler.scheduler import Scheduler
from sweeps.scheduler.stopping import Clock
from sweeps.search.storage import JOURNAL, repair_journal
from sweeps.space.candidates import Candidates


def restore(
    out: Path, config: SweepConfig, candidates: Candidates, slots: int, memory_bytes: int | None, clock: Clock
) -> tuple[Scheduler, EventLog]:
    """Return the scheduler of the sweep in a folder, in the state that its events lead to, and its event log.

    In a new folder that is the initial state. The caller closes the log.

    Args:
        config: the sweep's, with the limits that hold from now on.
        slots: jobs that run at once, for a new sweep; a resumed one keeps its own, for its decisions.
        memory_bytes: what one trial may use, likewise.
        clock: of this session, for the sweep's limit in time.

    Raises:
        UserError: see `Scheduler.apply`.
    """
    events = list(read_events(out / FILE_NAME))
    session = SessionStarted(limits=read_limits(config), slots=slots, memory_bytes=memory_bytes)
    first = events[0] if events else session
    assert isinstance(first, SessionStarted)
    num_asked = sum(
        isinstance(event, Resumed) or (isinstance(event, Started) and event.kind == "search")
        for event in events
    )
    repair_journal(out / JOURNAL, num_asked)
    start = with_limits(config, first.limits)
    scheduler = Scheduler(start, candidates, out / JOURNAL, first.slots, first.memory_bytes, clock)
    for event in [*events, session]:
        scheduler.apply(event)
    log = EventLog(out / FILE_NAME)
    log.write(session)
    return scheduler, log
