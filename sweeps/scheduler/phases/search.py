"""The search: each job trains a trial of the Optuna study, and the study learns what came of it."""

from __future__ import annotations

import dataclasses
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
    Status,
    Trial,
    Validated,
)
from sweeps.scheduler.phases.base import DONE, WAIT, Done, Wait, select_measured
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
        self._first_number, self._num_before = first_number, 0
        """Number of the first job since the last extension, and jobs before that."""
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

    def build_job(self, state: SweepState, number: int) -> Job:
        """Return the job of a number; its trial is the next one in the study's journal. See `Phase`."""
        if self._proposed is not None:
            return self._proposed[0]
        if not self._study.has_trial(count_study_trials(state)):
            raise LookupError(f"no {self.kind} job {number}")
        return self._propose(state)

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
                trial = state.trials[event.number]
                self._study.tell(self.trial_numbers[event.number], *self._describe_end(trial, event))

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
        self._first_number, self._num_before = first_number, len(state.of_kind("search"))
        self._study.extend(config)

    def count_expected(self, state: SweepState) -> int:
        """Return the number of search trials; an upper bound until the search has ended."""
        if state.search_ended or state.time_expired:
            return len(state.of_kind("search"))
        most = self._stopping.max_search_trials
        return bound_by_space(self._config, self._candidates, most)

    def describe_rest(self, state: SweepState) -> str | None:
        """Return None: a note of its own says how the search ended."""
        return None

    def _next_number(self, state: SweepState) -> int:
        return self._first_number + len(state.of_kind("search")) - self._num_before

    def _propose(self, state: SweepState) -> Job:
        number = self._next_number(state)
        candidate = self._study.ask(count_study_trials(state), number)
        job = self._make_job(state, number, candidate)
        self._proposed = job, candidate
        return job

    def _make_job(self, state: SweepState, number: int, candidate: Candidate) -> Job:
        round_index = self._num_by_key[candidate.key]
        return Job(
            number=number,
            kind=self.kind,
            arm=f"trial {count_study_trials(state)}",
            params=candidate.values,
            run=dataclasses.replace(
                candidate.run, seed=derive_replicate_seed(self._config.seed, round_index)
            ),
            num_params=candidate.num_params,
            flops_per_step=candidate.flops_per_step,
            max_train_flops=self._stopping.share_flops(state),
            may_prune=self._config.pruner["name"] != "none",
            **select_measured(self._config),
        )

    def _describe_end(
        self, trial: Trial, event: Ended
    ) -> tuple[Status, tuple[float, ...] | None, str | None]:
        """Return status, values and error of a trial as the study takes them."""
        values = self._objectives.compute_values(trial.job.run, trial.validations)
        if event.status == "completed" and values is None:
            names = " and ".join(self._objectives.names)
            return "failed", None, f"no finite {names} was reported"
        return event.status, values, event.error


def count_study_trials(state: SweepState) -> int:
    """Return the number of the study's trials: one for each search job, and one for each time one was resumed."""
    return len(state.of_kind("search")) + len(state.resumed)


def bound_by_space(config: SweepConfig, candidates: Candidates, num_trials: int) -> int:
    """Return how many of `num_trials` search trials the space has configurations for."""
    return min(num_trials, (candidates.num_feasible_trials or num_trials) * config.replicates)
