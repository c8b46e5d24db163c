"""The jobs of the search: each trains a trial of the study and tells it what came of it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from sweeps.config import SweepConfig
from sweeps.events import Job, Outcome, Report, Status
from sweeps.scheduler.phases.resume_pruned import best_looking_first
from sweeps.search.seeds import replicate_seed
from sweeps.search.study import SweepStudy
from sweeps.space.candidates import Candidate, Candidates


class SearchTrials:
    """Makes jobs of trials; all that names a job by its number means one of these.

    Args:
        config, candidates, journal, slots: as of the study.
        first_number: of the first job.

    Raises:
        UserError: see `SweepStudy`.
    """

    def __init__(
        self,
        config: SweepConfig,
        candidates: Candidates,
        journal: Path | None,
        slots: int,
        first_number: int,
    ) -> None:
        self.study = SweepStudy(config, candidates, journal, slots)
        self.trial_numbers: dict[int, int] = {}
        """The study's trial number of each job, of a revived one the latest."""
        self.candidates: dict[int, Candidate] = {}
        """What each job trains."""
        self.revivals: list[int] = []
        """Jobs in the order in which they were revived, each as often as it was."""
        self._times: Counter[str] = Counter()
        """Jobs of each configuration, by its key."""
        self._config = config
        self._next_number = first_number

    def __len__(self) -> int:
        return len(self.trial_numbers)

    def next_job(self) -> Job:
        """A job of a new trial; call only when the study is `ready` and not `exhausted`."""
        trial, candidate = self.study.ask(self._next_number)
        return self._job(trial, candidate)

    def recall_job(self) -> Job | None:
        """The next job that was made before the journal was opened again; None behind the last."""
        candidate = self.study.recall(self._num_trials)
        return None if candidate is None else self._job(self._num_trials, candidate)

    def revive(self, number: int) -> None:
        """Goes on with a pruned job, in the study as a trial of its own."""
        self._revived(number, self.study.revive(self.trial_numbers[number]))

    def recall_revival(self, number: int) -> None:
        """A revival that was made before the journal was opened again."""
        self._revived(number, self._num_trials)

    def best_looking_first(self, reports: Mapping[int, Sequence[Report]]) -> list[int]:
        """Pruned jobs in the order in which they should be revived.

        Args:
            reports: of each.
        """
        point = self.study.objectives.point
        return best_looking_first(
            {
                number: {step: point(values) for step, values in self._curve(number, told).items()}
                for number, told in reports.items()
            }
        )

    def report(self, number: int, reports: Sequence[Report]) -> None:
        """Tells the study of a job's last report.

        Args:
            reports: all so far.
        """
        self.study.report(self.trial_numbers[number], self._curve(number, reports))

    def should_prune(self, number: int, reports: Sequence[Report]) -> bool:
        """The pruner's answer after a job's last report."""
        has_values = self._values(number, reports) is not None
        return has_values and self.study.should_prune(self.trial_numbers[number])

    def end(self, number: int, outcome: Outcome, reports: Sequence[Report]) -> None:
        """Ends a job's trial."""
        self.study.tell(self.trial_numbers[number], *self._ended(number, outcome, reports))

    def settle(self, reports: Mapping[int, Sequence[Report]], outcomes: Mapping[int, Outcome]) -> None:
        """Writes into the study what it lacks of the recalled jobs."""
        for number, trial in self.trial_numbers.items():
            ended = outcomes.get(number)
            told = None if ended is None else self._ended(number, ended, reports[number])
            self.study.settle(trial, self._curve(number, reports[number]), told)

    def extend(self, config: SweepConfig, first_number: int) -> None:
        """Goes on under a configuration that differs in its limits only, its jobs numbered anew."""
        self._config, self._next_number = config, first_number
        self.study.extend(config)

    @property
    def _num_trials(self) -> int:
        """Of the study, as far as it has been made or recalled."""
        return len(self) + len(self.revivals)

    def _revived(self, number: int, trial: int) -> None:
        self.trial_numbers[number] = trial
        self.revivals.append(number)

    def _job(self, trial: int, candidate: Candidate) -> Job:
        number = self._next_number
        self._next_number += 1
        earlier = self._times[candidate.key]
        self._times[candidate.key] += 1
        self.trial_numbers[number], self.candidates[number] = trial, candidate
        return Job(
            number=number,
            kind="search",
            arm=f"trial {trial}",
            params=candidate.values,
            run=dataclasses.replace(candidate.run, seed=replicate_seed(self._config.seed, earlier)),
            num_params=candidate.num_params,
            flops_per_step=candidate.flops_per_step,
            may_prune=self._config.pruner["name"] != "none",
        )

    def _values(self, number: int, reports: Sequence[Report]) -> tuple[float, ...] | None:
        return self.study.objectives.values(self.candidates[number].run, reports)

    def _curve(self, number: int, reports: Sequence[Report]) -> dict[int, list[float]]:
        return self.study.objectives.curve(self.candidates[number].run, reports)

    def _ended(
        self, number: int, outcome: Outcome, reports: Sequence[Report]
    ) -> tuple[Status, tuple[float, ...] | None, str | None]:
        """How the study is told of a trial's end."""
        values = self._values(number, reports)
        if outcome.status == "completed" and values is None:
            return "failed", None, f"no finite {' and '.join(self.study.objectives.names)} was reported"
        return outcome.status, values, outcome.error
