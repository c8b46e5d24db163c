"""The stopping criteria of a whole sweep (`stop.*`): when no more trials start, and which running ones end early.

They bound the search and the baselines. Baselines are counted from the start, trained or not, because the verdict
needs them; confirmations come on top, except for `stop.hours`, which ends everything.

All answers follow from the sweep's state, so a resumed sweep gives them again. Under `deterministic` they depend on
the order of trials alone: a criterion looks at what the next trial may know, the trials up to i - slots; and where
`stop.flops` might not leave a whole run, the next trial waits for all before it and gets what they have left over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from hrm.config.errors import ConfigError
from sweeps.config import SweepConfig
from sweeps.events import Job, Trial
from sweeps.quantities import TRAINING_FLOPS, parse_count
from sweeps.scheduler.state import SweepState
from sweeps.search.objectives import Objectives
from sweeps.search.pareto_front import Point, is_as_good

Clock = Callable[[], float]
"""Seconds since the sweep started, or was resumed."""


def start_clock() -> Clock:
    """Return a clock that starts now."""
    start = time.monotonic()
    return lambda: time.monotonic() - start


class StoppingCriteria:
    """Holds a sweep's state against `config.stop`.

    Args:
        config: the sweep.
        baselines: all that the sweep has, started or not.
        slots: jobs that run at once.
        clock: read for `stop.hours` only.

    Raises:
        UserError: a limit cannot be read, or leaves no search trial next to the baselines.
    """

    def __init__(
        self,
        config: SweepConfig,
        objectives: Objectives,
        baselines: Sequence[Job],
        slots: int,
        clock: Clock,
    ) -> None:
        self._objectives, self._baselines = objectives, baselines
        self._slots, self._clock = slots, clock
        self._read_config(config)
        stop, num = config.stop, len(baselines)
        hint = "lower baseline.trials, or leave presets out with baseline.presets=[...]"
        if stop.trials is not None and stop.trials <= num:
            rule = f"the {num} baseline trials alone reach it"
            raise ConfigError("stop.trials", stop.trials, rule, f"Give at least {num + 1}, {hint}")
        flops = sum(job.total_train_flops for job in baselines)
        if self._max_flops is not None and self._max_flops <= flops:
            rule = f"the {num} baseline trials alone spend {flops:,} training FLOPs"
            raise ConfigError("stop.flops", stop.flops, rule, f"Give more than that, {hint}")

    def _read_config(self, config: SweepConfig) -> None:
        flops = config.stop.flops
        self._config = config
        self._max_flops = None if flops is None else parse_count(flops, TRAINING_FLOPS, "stop.flops")

    def extend(self, config: SweepConfig, more: Sequence[Job], state: SweepState) -> None:
        """Take over a configuration that differs in its limits only.

        Args:
            more: baselines that it asks for beyond those so far, and that are among them by now.

        Raises:
            ConfigError: a limit leaves no room for them next to the trials that were made.
        """
        self._read_config(config)
        trials = config.stop.trials
        num_made = len(state.of_kind("search")) + len(self._baselines) - len(more)
        hint = "Raise it, or keep baseline.trials as it was"
        if more and trials is not None and num_made + len(more) > trials:
            rule = (
                f"{num_made} trials were counted so far, "
                f"and the longer search asks for {len(more)} baseline trials"
            )
            raise ConfigError("stop.trials", trials, rule, hint)
        if more and self._max_flops is not None and (left := self._flops_left(state)) < 0:
            rule = f"the {len(more)} baseline trials that the longer search asks for exceed it by {-left:,}"
            raise ConfigError("stop.flops", config.stop.flops, rule, hint)

    def is_out_of_time(self) -> bool:
        """Return whether `stop.hours` has passed."""
        hours = self._config.stop.hours
        return hours is not None and self._clock() >= hours * 3600

    def describe_time(self) -> str:
        """Return the sentence for a sweep that ran out of time."""
        reason = f"stop.hours={self._config.stop.hours:g} was reached."
        if self._config.deterministic:
            reason += " Time depends on the machine: another run may end elsewhere."
        return reason

    def find_end_of_search(self, state: SweepState) -> str | None:
        """Return why no more search trials start, given that the next one may be asked for; None if they may."""
        stop, num_started = self._config.stop, len(state.of_kind("search"))
        if stop.trials is not None and num_started >= self.max_search_trials < self._config.num_trials:
            return f"stop.trials={stop.trials} was reached, {len(self._baselines)} baseline trials included."
        patience = stop.no_improvement
        if patience is not None and self._count_since_best(state) >= patience:
            return f"stop.no_improvement={patience} trials without a better best were reached."
        if self._max_flops is not None and self._flops_left(state) <= 0:
            return f"stop.flops={self._max_flops:,} was reached, baselines and pruned trials included."
        return None

    @property
    def max_search_trials(self) -> int:
        """Search trials that may start: `num_trials`, or fewer under `stop.trials`."""
        trials, most = self._config.num_trials, self._config.stop.trials
        return trials if most is None else min(trials, most - len(self._baselines))

    def must_wait(self, state: SweepState) -> bool:
        """Return whether the next search trial has to wait for those before it, to know what FLOPs they leave."""
        if self._max_flops is None or not self._config.deterministic:
            return False
        return not self._is_ample(state) and any(trial.is_running for trial in state.of_kind("search"))

    def share_flops(self, state: SweepState) -> int | None:
        """Return the training FLOPs that the next search job may spend; None if it may spend what is left."""
        if self._max_flops is None or not self._config.deterministic:
            return None
        return self._flops_left(state, self._unseen(state) if self._is_ample(state) else [])

    def select_affordable(self, state: SweepState, trials: Iterable[Trial]) -> Iterator[Trial]:
        """Yield those pruned trials that can be trained to their end, one after the other, when none runs."""
        left = self._flops_left(state) if self._max_flops is not None else None
        for trial in trials:
            rest = trial.job.total_train_flops - trial.train_flops
            if left is None or rest <= left:
                yield trial
                left = None if left is None else left - rest

    def find_end_of_trial(self, state: SweepState, trial: Trial) -> str | None:
        """Return why a running trial ends at its last validation, for its row; None if it may continue."""
        if self.is_out_of_time():
            return f"ended by stop.hours={self._config.stop.hours:g}"
        if self._max_flops is None or trial.job.kind != "search":
            return None
        limit = trial.job.max_train_flops
        is_over = self._flops_left(state) <= 0 if limit is None else trial.train_flops >= limit
        return f"ended by stop.flops={self._max_flops:,}" if is_over else None

    def _is_ample(self, state: SweepState) -> bool:
        """Return whether the next trial can run to its end whatever is spent by the trials that it may not know."""
        longest = max((trial.job.total_train_flops for trial in state.of_kind("search")), default=0)
        left = self._flops_left(state, self._unseen(state))
        return left > 0 and left >= longest

    def _unseen(self, state: SweepState) -> list[Trial]:
        """Return the search trials whose results the next one must not know, whether or not they have ended."""
        return state.of_kind("search")[-(self._slots - 1) :] if self._slots > 1 else []

    def _flops_left(self, state: SweepState, unseen: Sequence[Trial] = ()) -> int:
        """Return the training FLOPs that baselines and search trials leave; unseen ones count whole."""
        assert self._max_flops is not None
        spent = {trial.number: trial.train_flops for trial in state.of_kind("search")}
        spent |= {trial.number: trial.job.total_train_flops for trial in unseen}
        baselines = sum(job.total_train_flops for job in self._baselines)
        return self._max_flops - baselines - sum(spent.values())

    def _count_since_best(self, state: SweepState) -> int:
        """Count the ended trials after the last improvement, of those that the next trial may know."""
        search = state.of_kind("search")
        if self._config.deterministic:
            search = search[: max(0, len(search) - self._slots + 1)]
        points: list[Point] = []
        num_since = 0
        for trial in search:
            if trial.is_running:
                continue
            num_since += 1
            values = self._objectives.compute_values(trial.job.run, trial.validations)
            if not trial.is_completed or values is None:
                continue
            point = self._objectives.make_point(values)
            if not any(is_as_good(earlier, point) for earlier in points):
                points.append(point)
                num_since = 0
        return num_since
