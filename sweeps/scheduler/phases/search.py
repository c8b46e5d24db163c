"""The search: each job trains a trial of the Optuna study, and the study learns what came of it."""

from __future__ import annotations

from collections import Counter

from sweeps.config import SweepConfig
from sweeps.events import (
    Ended,
    Job,
    Kind,
    Measured,
    Resumed,
    SearchEnded,
    Started,
    Trial,
    Validated,
)
from sweeps.scheduler.phases.base import DONE, WAIT, Done, Wait, make_job
from sweeps.scheduler.state import SweepState
from sweeps.scheduler.stopping import StoppingCriteria
from sweeps.search.pareto_front import Point
from sweeps.search.seeds import derive_replicate_seed
from sweeps.search.study import SweepStudy
from sweeps.space.candidates import Candidate, Candidates


class SearchPhase:
    """Asks the study for trials, and keeps it up to date.

    Args:
        first_number: of the first job.

    Attributes:
        trial_numbers: the study's trial number of each job; of a resumed one the latest.
    """

    kind: Kind = "search"

    def __init__(
        self,
        config: SweepConfig,
        candidates: Candidates,
        study: SweepStudy,
        stopping: StoppingCriteria,
        first_number: int,
    ) -> None:
        self.trial_numbers: dict[int, int] = {}
        self._config, self._candidates, self._study, self._stopping = config, candidates, study, stopping
        self._objectives = study.objectives
        self._candidate_of: dict[int, Candidate] = {}
        self._num_by_key: Counter[str] = Counter()
        """Jobs of each configuration."""
        self._offset = first_number
        """What to add to the number of jobs for the number of the next one."""
        self._proposed: tuple[Job, Candidate] | None = None

    def next(self, state: SweepState) -> Job | Wait | Done | SearchEnded:
        """Return the job of a new trial, which the study's journal holds from now on."""
        if state.search_ended or state.time_expired:
            return DONE
        trial_number = count_study_trials(state)
        if not self._study.is_ready(trial_number) or self._stopping.must_wait(state):
            return WAIT
        if any(state.trials[number].is_running for number in state.resumed):
            return WAIT  # a criterion would look at what depends on the speed of workers
        num_started = len(state.of_kind("search"))
        if num_started >= self._config.num_trials:
            return SearchEnded()
        reason = self._stopping.find_end_of_search(state)
        if reason is None and self._study.is_exhausted(trial_number):
            reason = "it had tried every distinct configuration within the budget."
        if reason:
            num = f"{num_started} of {self._config.num_trials}"
            return SearchEnded(note=f"The search ended after {num} trials: {reason}")
        return self._propose(state)

    def find_job(self, state: SweepState, number: int) -> Job | None:
        """Return the job that `next` has returned, or that of the next trial in the journal; None without one."""
        if self._proposed is not None:
            return self._proposed[0]
        return self._propose(state) if self._study.has_trial(count_study_trials(state)) else None

    def apply(self, event: Started | Measured | Validated | Ended | Resumed, state: SweepState) -> None:
        """Bring the study up to date with an event that the state has not applied yet.

        What the study's journal holds already stays as it is.
        """
        match event:
            case Started():
                assert self._proposed is not None
                job, candidate = self._proposed
                self._proposed = None
                self.trial_numbers[job.number] = count_study_trials(state)
                self._candidate_of[job.number] = candidate
                self._num_by_key[candidate.key] += 1
            case Resumed():
                self.trial_numbers[event.number] = count_study_trials(state)
            case Measured():
                violations = self._candidates.budget.compute_violations(event.costs)
                self._study.set_constraints(self.trial_numbers[event.number], violations)
            case Validated():
                trial = state.trials[event.number]
                validations = [*trial.validations, event.validation]
                # The whole curve: the study's trial for a resumed job starts empty.
                curve = self._objectives.compute_curve(trial.job.run, validations)
                self._study.report(self.trial_numbers[event.number], curve)
            case Ended():
                trial, status, error = state.trials[event.number], event.status, event.error
                values = self._objectives.compute_values(trial.job.run, trial.validations)
                if status == "completed" and values is None:
                    names = " and ".join(self._objectives.names)
                    status, error = "failed", f"no finite {names} was reported"
                self._study.tell(self.trial_numbers[event.number], status, values, error)

    def should_prune(self, trial: Trial) -> bool:
        """Return the pruner's answer after a trial's last validation."""
        has_values = self._objectives.compute_values(trial.job.run, trial.validations) is not None
        return has_values and self._study.should_prune(self.trial_numbers[trial.number])

    def resume(self, trial: Trial, state: SweepState) -> None:
        """Add a trial to the study for a pruned one that is to be resumed."""
        self._study.resume_trial(count_study_trials(state), self.trial_numbers[trial.number])

    def compute_curve(self, trial: Trial) -> dict[int, Point]:
        """Return a trial's objectives by validation index, as points in which less is better."""
        curve = self._objectives.compute_curve(trial.job.run, trial.validations)
        return {index: self._objectives.make_point(values) for index, values in curve.items()}

    def get_candidate(self, number: int) -> Candidate:
        """Return the candidate that a search job trains."""
        return self._candidate_of[number]

    def extend(self, config: SweepConfig, first_number: int, state: SweepState) -> None:
        """Take over a configuration that differs in its limits only, with new jobs numbered from `first_number`."""
        self._config = config
        self._offset = first_number - len(state.of_kind("search"))
        self._study.extend(config)

    def describe_rest(self, state: SweepState) -> None:
        """Return None: a note of its own says how the search ended."""

    def count_expected(self, state: SweepState) -> int:
        """Return the number of search trials; an upper bound until the search has ended."""
        if state.search_ended or state.time_expired:
            return len(state.of_kind("search"))
        most = self._stopping.max_search_trials
        return min(most, (self._candidates.num_feasible_trials or most) * self._config.replicates)

    def _propose(self, state: SweepState) -> Job:
        number = self._offset + len(state.of_kind("search"))
        trial_number = count_study_trials(state)
        candidate = self._study.ask(trial_number, number)
        job = make_job(
            self._config,
            candidate,
            seed=derive_replicate_seed(self._config.seed, self._num_by_key[candidate.key]),
            number=number,
            kind=self.kind,
            arm=f"trial {trial_number}",
            max_train_flops=self._stopping.share_flops(state),
            may_prune=self._config.pruner["name"] != "none",
        )
        self._proposed = job, candidate
        return job


def count_study_trials(state: SweepState) -> int:
    """Return the number of the study's trials: one for each search job, and one for each time one was resumed."""
    return len(state.of_kind("search")) + len(state.resumed)
