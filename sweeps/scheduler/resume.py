"""Resuming a sweep: what may differ from its configuration, and how its state is restored.

The event log is read back into a new scheduler, event by event, as if they happened now. Whatever was being written
when the driver was killed, it is at most one event ahead of the study's journal and the tables; only a trial that the
journal knows and the event log does not is forgotten.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hrm.config.errors import ConfigError
from sweeps.config import LIMITS, SweepConfig
from sweeps.events import EVENT_LOG, EventLog, Resumed, SessionStarted, Started, read_events
from sweeps.quantities import TRAINING_FLOPS, parse_count
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
    events = list(read_events(out / EVENT_LOG))
    session = SessionStarted(limits=config.limits, slots=slots, memory_bytes=memory_bytes)
    first = events[0] if events else session
    assert isinstance(first, SessionStarted)
    num_asked = sum(
        isinstance(event, Resumed) or (isinstance(event, Started) and event.kind == "search")
        for event in events
    )
    repair_journal(out / JOURNAL, num_asked)
    start = config.with_limits(first.limits)
    scheduler = Scheduler(start, candidates, out / JOURNAL, first.slots, first.memory_bytes, clock)
    for event in [*events, session]:
        scheduler.apply(event)
    log = EventLog(out / EVENT_LOG)
    log.write(session)
    return scheduler, log


PER_SESSION = "stop.hours"
"""The one limit that starts anew when a sweep is resumed, and so may be lower then."""
FREE = ("max_concurrent", "max_failures", "checkpoint_seconds", "resources", "ray", "wandb", "out", "dry_run")
"""Options and sections that say how and where jobs run, not what they are."""


def check_overrides(stored: SweepConfig, asked: SweepConfig) -> None:
    """Check that a resumed sweep differs from the stored one in its limits only, upwards.

    Raises:
        ConfigError: what decides its trials differs, each difference is named; or a limit is lower.
    """
    for name in LIMITS:
        old, new = _read_limit(stored, name), _read_limit(asked, name)
        if new < old and name != PER_SESSION:
            least = "stay null: the sweep was to go on without this limit"
            if old < math.inf:
                least = f"be at least {old:g}, as far as the sweep was to go already"
            raise ConfigError(name, new, f"must {least}")
    before, after = flatten(dataclasses.asdict(stored)), flatten(dataclasses.asdict(asked))
    differing = [
        f"{name} is {before.get(name)!r}, not {after.get(name)!r}"
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name) and name not in LIMITS and name.split(".")[0] not in FREE
    ]
    if differing:
        hint = "Leave that out to resume it, or start a new sweep in another folder"
        raise ConfigError("resume", asked.out, f"must go on as it began: {'; '.join(differing)}", hint)


def _read_limit(config: SweepConfig, name: str) -> float:
    value = config.num_baseline_trials if name == "baseline.trials" else config.limits[name]
    if value is None:
        return math.inf
    return parse_count(value, TRAINING_FLOPS, name) if name == "stop.flops" else value


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of nested mappings by dotted name."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            found |= flatten(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found
