"""The limits of a whole sweep (`stop.*`): when no more trials start, and which running ones end early.

They bound the search and the baselines. Baselines are counted from the start, trained or not, for the verdict
needs them; confirmations come on top, but for `stop.hours`, which ends everything.

All answers follow from the plan's jobs, reports and outcomes, so that a plan that is recalled after a stop
gives them again. Under `deterministic` they depend on the order of trials alone: a limit looks back on what
the next trial sees, the trials up to i - slots; and where `stop.flops` might not leave it a whole run, the
next trial waits for all before it and is given what they have left over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from hrm.config.errors import ConfigError
from sweeps.config import SweepConfig
from sweeps.events import Job, Outcome, Report
from sweeps.quantities import TRAINING_FLOPS, parse_count
from sweeps.search.objectives import Objectives
from sweeps.search.pareto_front import Point, is_as_good

Clock = Callable[[], float]
"""Seconds since the sweep started, or was resumed."""


def stopwatch() -> Clock:
    """A clock that starts now."""
    start = time.monotonic()
    return lambda: time.monotonic() - start


class StoppingCriteria:
    """Judges a plan's course against `config.stop`.

    Args:
        config: the sweep; `stop` may be raised later by giving another one to `config`.
        baselines: all that the sweep has.
        jobs, outcomes, reports: the plan's own, by job number, which it goes on filling.
        slots: jobs that run at once.
        clock: read for `stop.hours` only.

    Raises:
        UserError: a limit cannot be read, or leaves no search trial beside the baselines.
    """

    def __init__(
        self,
        config: SweepConfig,
        objectives: Objectives,
        baselines: Sequence[Job],
        jobs: Mapping[int, Job],
        outcomes: Mapping[int, Outcome],
        reports: Mapping[int, Sequence[Report]],
        slots: int,
        clock: Clock,
    ) -> None:
        self.config = config
        self._baselines = baselines
        self._jobs, self._outcomes, self._reports = jobs, outcomes, reports
        self._slots, self._clock = slots, clock
        self._objectives = objectives
        self._allowed: dict[int, int] = {}
        """Training FLOPs that a search job may spend, where orders of trials decide."""
        self._check_baselines()

    def extend(self, config: SweepConfig, more: Sequence[Job]) -> None:
        """Goes on under a configuration that differs in its limits only.

        Args:
            more: baselines that it asks for beyond those so far, and that are among them by now.

        Raises:
            ConfigError: a limit leaves no room for them beside the trials that were made.
        """
        self.config = config
        made, trials = len(self._search) + len(self._baselines) - len(more), config.stop.trials
        hint = "Raise it, or keep baseline.trials as it was"
        if more and trials is not None and made + len(more) > trials:
            rule = f"{made} trials were counted so far, and the longer search asks for {len(more)} baseline trials"
            raise ConfigError("stop.trials", trials, rule, hint)
        if more and self._most_flops is not None and self._left() < 0:
            rule = f"the {len(more)} baseline trials that the longer search asks for pass it by {-self._left():,}"
            raise ConfigError("stop.flops", config.stop.flops, rule, hint)

    @property
    def most_search_trials(self) -> int:
        """Search trials that may start: `num_trials`, or fewer under `stop.trials`."""
        most = self.config.stop.trials
        return (
            self.config.num_trials
            if most is None
            else min(self.config.num_trials, most - len(self._baselines))
        )

    def out_of_time(self) -> str | None:
        """Why everything ends now; None while there is time."""
        hours = self.config.stop.hours
        if hours is None or self._clock() < hours * 3600:
            return None
        again = (
            " Time depends on the machine: another run may end elsewhere."
            if self.config.deterministic
            else ""
        )
        return f"stop.hours={hours:g} was reached.{again}"

    def search_over(self) -> str | None:
        """Why no more search trials start, given that the next one may be asked for; None if they may."""
        stop = self.config.stop
        if stop.trials is not None and len(self._search) >= self.most_search_trials < self.config.num_trials:
            return f"stop.trials={stop.trials} was reached, {len(self._baselines)} baseline trials included."
        patience = stop.no_improvement
        if patience is not None and self._since_best() >= patience:
            return f"stop.no_improvement={patience} trials without a better best were reached."
        if self._most_flops is not None and self._left() <= 0:
            return f"stop.flops={self._most_flops:,} was reached, baselines and pruned trials included."
        return None

    def must_wait(self) -> bool:
        """Whether the next search trial has to wait for those before it, to know what they leave."""
        if self._most_flops is None or not self.config.deterministic:
            return False
        return not self._is_ample() and any(job.number not in self._outcomes for job in self._search)

    def started(self, job: Job) -> None:
        """Takes the start of a search job; call before it is among the plan's jobs."""
        if self._most_flops is not None and self.config.deterministic:
            self._allowed[job.number] = self._left(self._unseen if self._is_ample() else [])

    def affordable(self, numbers: Iterable[int]) -> Iterator[int]:
        """Of pruned search jobs those that can go on to their end, one after the other; call when none runs."""
        left = self._left() if self._most_flops is not None else None
        for number in numbers:
            rest = _most_flops_of(self._jobs[number]) - self._spent(number)
            if left is None or rest <= left:
                yield number
                left = None if left is None else left - rest

    def revived(self, number: int) -> None:
        """Takes the start of a pruned job that is `affordable`."""
        if number in self._allowed:
            self._allowed[number] = _most_flops_of(self._jobs[number])

    def must_end(self, number: int) -> str | None:
        """Why a running job ends at its last report, in words for its row; None if it goes on."""
        if self.out_of_time():
            return f"ended by stop.hours={self.config.stop.hours:g}"
        if self._most_flops is None or self._jobs[number].kind != "search":
            return None
        allowed = self._allowed.get(number)
        is_over = self._left() <= 0 if allowed is None else self._spent(number) >= allowed
        return f"ended by stop.flops={self._most_flops:,}" if is_over else None

    @property
    def _search(self) -> list[Job]:
        return [job for job in self._jobs.values() if job.kind == "search"]

    @property
    def _most_flops(self) -> int | None:
        given = self.config.stop.flops
        return None if given is None else parse_count(given, TRAINING_FLOPS, "stop.flops")

    def _is_ample(self) -> bool:
        """Whether the next trial can run to its end whatever the trials that it does not see will spend."""
        whole = max(map(_most_flops_of, self._search), default=0)
        return self._left(self._unseen) > 0 and self._left(self._unseen) >= whole

    @property
    def _unseen(self) -> list[Job]:
        """Search trials whose results the next one must not know, whether or not they have ended."""
        return self._search[-(self._slots - 1) :] if self._slots > 1 else []

    def _left(self, unseen: Sequence[Job] = ()) -> int:
        """Training FLOPs that the baselines and the search trials so far leave; unseen ones count whole."""
        assert self._most_flops is not None
        spent = {job.number: self._spent(job.number) for job in self._search}
        spent |= {job.number: _most_flops_of(job) for job in unseen}
        return self._most_flops - sum(map(_most_flops_of, self._baselines)) - sum(spent.values())

    def _spent(self, number: int) -> int:
        reports = self._reports[number]
        return reports[-1].train_flops if reports else 0

    def _since_best(self) -> int:
        """Ended trials behind the last that none before was as good as, of those that the next one sees."""
        search = self._search
        if self.config.deterministic:
            search = search[: max(0, len(search) - self._slots + 1)]
        ended = [job.number for job in search if job.number in self._outcomes]
        points: list[Point] = []
        last = -1
        for place, number in enumerate(ended):
            completed = self._outcomes[number].status == "completed"
            values = (
                self._objectives.values(self._jobs[number].run, self._reports[number]) if completed else None
            )
            if values is None:
                continue
            point = self._objectives.point(values)
            if not any(is_as_good(earlier, point) for earlier in points):
                points.append(point)
                last = place
        return len(ended) - 1 - last

    def _check_baselines(self) -> None:
        stop, count = self.config.stop, len(self._baselines)
        hint = "lower baseline.trials, or leave presets out with baseline.presets=[...]"
        if stop.trials is not None and stop.trials <= count:
            raise ConfigError(
                "stop.trials", stop.trials, f"the {count} baseline trials alone reach it",
                f"Give at least {count + 1}, {hint}",
            )  # fmt: skip
        flops = sum(map(_most_flops_of, self._baselines))
        if self._most_flops is not None and self._most_flops <= flops:
            raise ConfigError(
                "stop.flops", stop.flops, f"the {count} baseline trials alone spend {flops:,} training FLOPs",
                f"Give more than that, {hint}",
            )  # fmt: skip


def _most_flops_of(job: Job) -> int:
    """Training FLOPs of a job that runs to its end; the most, where data decide."""
    steps = job.run.train.steps * job.flops_per_step
    return min(steps, job.run.train.max_flops or steps)
