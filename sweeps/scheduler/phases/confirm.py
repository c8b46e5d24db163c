"""Confirmation: the best configurations and the baselines are trained again on fresh seeds, and tested."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from sweeps.config import SweepConfig
from sweeps.events import Job, Kind, Trial, Validation
from sweeps.scheduler.phases.base import DeferredPhase
from sweeps.scheduler.state import SweepState
from sweeps.search.objectives import Objective, Objectives
from sweeps.search.seeds import derive_confirmation_seeds
from sweeps.space.candidates import LEARNING_RATE, Candidate, Candidates


@dataclass(frozen=True, kw_only=True)
class Finalist:
    """One configuration that is confirmed.

    Args:
        name: `trial 7`, or a preset's name.
        job: the search, baseline or random job that it repeats.
        objective: what that job reached; the mean where its configuration was trained more than once.
    """

    name: str
    job: Job
    objective: float


class ConfirmPhase(DeferredPhase):
    """Trains every finalist on the first fresh seed, then every finalist on the second, and so on.

    Args:
        presets: names of the baselines.
        get_candidate: returns the candidate of a search job by its number.
        count_search: returns the number of search trials that are expected.

    Attributes:
        finalists: what is confirmed, search trials first; empty until the search has ended.
        notes: what is missing, in sentences.
    """

    kind: Kind = "confirm"
    phrase = "confirmations"

    def __init__(
        self,
        config: SweepConfig,
        candidates: Candidates,
        objectives: Objectives,
        presets: Sequence[str],
        get_candidate: Callable[[int], Candidate],
        count_search: Callable[[SweepState], int],
    ) -> None:
        super().__init__(config, candidates)
        self._objectives, self._presets = objectives, presets
        self._get_candidate, self._count_search = get_candidate, count_search
        self.finalists: list[Finalist] = []
        self.notes: list[str] = []

    def make_jobs(self, state: SweepState) -> Sequence[Job]:
        """Choose the finalists, and make their jobs without those of earlier sessions."""
        if self._config.confirm.finalists == 0:
            return []
        # A configuration with replicates counts with their mean, under the name of its first completed trial.
        keys = {trial.number: self._get_candidate(trial.number).key for trial in state.of_kind("search")}
        best = self._choose_best(state.of_kind("search"), self._config.confirm.finalists, keys)
        baselines = choose_baselines(self._objectives.first, state.of_kind("baseline"))
        self.finalists = [*best, *baselines, *self._choose_best(state.of_kind("random"), 1, {})]
        self.notes = [] if best else ["No search trial was completed: only the baselines are confirmed."]
        confirmed = {finalist.name for finalist in baselines}
        self.notes += [
            f"Every trial of the baseline {name} failed: it is not confirmed."
            for name in self._presets
            if name not in confirmed
        ]
        made = [trial.job for trial in state.of_kind(self.kind)]
        return list(make_confirmations(self._config, self.finalists, state.next_number, made))

    def extend(self, config: SweepConfig) -> None:
        """Choose again, after a longer search."""
        super().extend(config)
        self.finalists, self.notes = [], []

    def estimate(self, state: SweepState) -> int:
        """Return the most jobs that there may be."""
        confirm = self._config.confirm
        if confirm.finalists == 0:
            return 0
        num = min(confirm.finalists, self._count_search(state)) + len(self._presets)
        return (num + self._config.baseline.random) * confirm.seeds

    def _choose_best(self, trials: Sequence[Trial], num: int, keys: Mapping[int, str]) -> list[Finalist]:
        """Return the best completed configurations, as `Objectives.select_best` orders them.

        Args:
            keys: by job number; trials of one key are one configuration. Others have one each.
        """
        reached: dict[str | int, list[tuple[Job, tuple[float, ...]]]] = defaultdict(list)
        for trial in sorted(trials, key=lambda trial: trial.number):
            values = self._objectives.compute_values(trial.job.run, _completed(trial))
            if values is not None:
                reached[keys.get(trial.number, trial.number)].append((trial.job, values))
        jobs = [same[0][0] for same in reached.values()]
        means = [[fmean(column) for column in zip(*(v for _, v in same))] for same in reached.values()]
        best = self._objectives.select_best(means, num)
        return [Finalist(name=jobs[i].arm, job=jobs[i], objective=means[i][0]) for i in best]


def choose_baselines(objective: Objective, trials: Iterable[Trial]) -> list[Finalist]:
    """Return each preset at its best learning rate; a preset whose every trial failed is left out.

    A rate at which a trial failed ranks behind those at which none did.
    """
    by_rate: dict[str, dict[float, list[Trial]]] = defaultdict(lambda: defaultdict(list))
    for trial in trials:
        by_rate[trial.job.arm][trial.job.params[LEARNING_RATE]].append(trial)
    finalists = []
    for name, rates in by_rate.items():
        ranked = []
        for same_rate in rates.values():
            values = [objective.compute_value(_completed(trial)) for trial in same_rate]
            reached = [value for value in values if value is not None]
            if reached:
                mean = fmean(reached)
                rank = (len(values) - len(reached), objective.get_sort_key(mean), same_rate[0].number)
                ranked.append((rank, Finalist(name=name, job=same_rate[0].job, objective=mean)))
        if ranked:
            finalists.append(min(ranked, key=lambda pair: pair[0])[1])
    return finalists


def make_confirmations(
    config: SweepConfig, finalists: Sequence[Finalist], first_number: int, made: Iterable[Job] = ()
) -> Iterator[Job]:
    """Yield the finalists' jobs on the same fresh seeds: every finalist on the first seed, then on the second, ...

    Args:
        made: confirmations of earlier sessions, which are not made again.
    """
    done = {(job.arm, repr(job.run)) for job in made}
    number = first_number
    for i, seed in enumerate(derive_confirmation_seeds(config.seed, config.confirm.seeds)):
        for finalist in finalists:
            run = dataclasses.replace(finalist.job.run, seed=seed)
            if (finalist.name, repr(run)) in done:
                continue
            yield dataclasses.replace(
                finalist.job,
                number=number,
                kind="confirm",
                run=run,
                max_train_flops=None,
                bounded_costs=(),
                read_test=True,
                keep_model=i == 0,
                may_prune=False,
                resumed_from=(),
            )
            number += 1


def _completed(trial: Trial) -> Sequence[Validation]:
    """Return the validations of a completed trial; none of another, so that no objective has a value."""
    return trial.validations if trial.is_completed else ()
