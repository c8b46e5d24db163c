"""The state of a sweep: what its events add up to.

`apply` is the only way to change it, for events that happen and for those that are read back from the event log.
Everything else that the scheduler needs to know is derived from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sweeps.events import (
    Ended,
    Event,
    Job,
    Kind,
    Measured,
    Resumed,
    SearchEnded,
    SessionStarted,
    Started,
    TimeExpired,
    Trial,
    Validated,
)


class SweepState:
    """Trials by number, and how far the phases have come in this session.

    Attributes:
        trials: every trial that has started, by job number, in the order of starting.
        resumed: numbers of pruned trials in the order in which they were resumed, each as often as it was.
        session: the latest; None before the first.
        search_ended: set once no more search trials start; cleared by a session with other limits.
        time_expired: set once `stop.hours` is reached; cleared by the next session.
    """

    def __init__(self) -> None:
        self.trials: dict[int, Trial] = {}
        self.resumed: list[int] = []
        self.session: SessionStarted | None = None
        self.search_ended: SearchEnded | None = None
        self.time_expired: TimeExpired | None = None
        self._by_kind: dict[Kind, list[Trial]] = {}
        self._num_running: Counter[Kind] = Counter()

    def apply(self, event: Event, job: Job | None = None) -> None:
        """Change the state by one event.

        Args:
            event: what has happened.
            job: of a `Started` or `Resumed` event, the job that it hands out.
        """
        match event:
            case SessionStarted():
                if self.session is not None and self.session.limits != event.limits:
                    self.search_ended = None
                self.session, self.time_expired = event, None
            case Started():
                assert job is not None and event.number not in self.trials
                trial = Trial(job, event.time)
                self.trials[event.number] = trial
                self._by_kind.setdefault(job.kind, []).append(trial)
                self._num_running[job.kind] += 1
            case Resumed():
                assert job is not None
                trial = self.trials[event.number]
                trial.job, trial.ended = job, None
                self.resumed.append(event.number)
                self._num_running[job.kind] += 1
            case Measured():
                self.running(event.number).measured = event.costs
            case Validated():
                self.running(event.number).validations.append(event.validation)
            case Ended():
                trial = self.running(event.number)
                trial.ended = event
                self._num_running[trial.job.kind] -= 1
            case SearchEnded():
                self.search_ended = event
            case TimeExpired():
                self.time_expired = event

    def running(self, number: int) -> Trial:
        """Return a trial that must be running."""
        trial = self.trials[number]
        assert trial.is_running, f"job {number} has ended"
        return trial

    def of_kind(self, kind: Kind) -> list[Trial]:
        """Return the trials of a kind, in the order of starting. Do not change the list."""
        return self._by_kind.get(kind, [])

    def pruned(self) -> Iterator[Trial]:
        """Yield the search trials that were pruned and not resumed since."""
        return (trial for trial in self.of_kind("search") if trial.is_pruned)

    def is_running(self, kind: Kind) -> bool:
        """Return whether any trial of a kind is running."""
        return self._num_running[kind] > 0

    @property
    def num_running(self) -> int:
        return self._num_running.total()

    @property
    def next_number(self) -> int:
        """The job number above all that have started."""
        return max(self.trials, default=-1) + 1
