"""All decisions of a sweep: which job is next, which running one stops, how many there will be. Runs nothing.

A free worker gets a search trial when the next one may be asked for; else a pruned trial to resume, else a baseline.
When none of these are left, random search begins, if it is asked for, and when that has ended the confirmations.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sweeps.config import SweepConfig
from sweeps.errors import OutputError
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
    Validated,
)
from sweeps.scheduler.phases.base import DONE, WAIT, Done, Phase, Wait
from sweeps.scheduler.phases.baseline import BaselinePhase, choose_presets
from sweeps.scheduler.phases.confirm import ConfirmPhase, Finalist
from sweeps.scheduler.phases.random_search import RandomSearchPhase
from sweeps.scheduler.phases.resume_pruned import ResumePrunedPhase, replace_resumed
from sweeps.scheduler.phases.search import SearchPhase
from sweeps.scheduler.state import SweepState
from sweeps.scheduler.stopping import Clock, StoppingCriteria
from sweeps.search.objectives import Objectives
from sweeps.search.study import SweepStudy
from sweeps.space.candidates import Candidates


@dataclass(frozen=True)
class Stop:
    """A running job ends at its last validation, as pruned."""

    limit: str | None = None
    """The stopping criterion that ends it, in words for its row; None where the pruner does."""


class Scheduler:
    """Decides from the state of the sweep, which `apply` changes.

    Under `deterministic` its answers depend on what the jobs reported and on the number of slots, never on which of
    them was faster. A live sweep and one that is read back from its event log take the same path: `apply`.

    Args:
        config: the sweep.
        candidates: the space within its budget.
        journal: file of the Optuna journal; None keeps it in memory.
        slots: jobs that run at once.
        memory_bytes: what one trial may use; presets beyond are left out. None is no bound.
        clock: read for `stop.hours` only.

    Attributes:
        state: what has happened so far.
        presets: the presets that are trained as baselines, by name.
        left_out: the presets that are not, with the reason.

    Raises:
        UserError: an unknown sampler, pruner, objective, preset or option, or a limit that leaves no search.
    """

    def __init__(
        self,
        config: SweepConfig,
        candidates: Candidates,
        journal: Path | None,
        slots: int,
        memory_bytes: int | None = None,
        clock: Clock = lambda: 0.0,
    ) -> None:
        assert slots >= 1
        self.state = SweepState()
        self.presets, self.left_out = choose_presets(config.baseline.presets, candidates, memory_bytes)
        self._config, self._budget = config, candidates.budget
        self.study = SweepStudy(config, candidates, journal, slots)
        objectives = self.study.objectives
        self._baseline = BaselinePhase(config, candidates, self.presets)
        self._stopping = StoppingCriteria(config, objectives, self._baseline.all_jobs, slots, clock)
        num = len(self._baseline.all_jobs)
        self._search = search = SearchPhase(config, candidates, self.study, self._stopping, num)
        self._resume = ResumePrunedPhase(config, search, self._stopping)
        self._random = RandomSearchPhase(config, candidates, search.count_expected)
        self._confirm = ConfirmPhase(
            config, candidates, objectives, list(self.presets), search.get_candidate, search.count_expected
        )
        self._stages: tuple[tuple[Phase, ...], ...] = (
            (self._search, self._resume, self._baseline),
            (self._random,),
            (self._confirm,),
        )
        """Phases whose jobs run next to each other; a stage begins when the one before it has ended."""
        self._phase_of = {
            phase.kind: phase for phase in (self._search, self._baseline, self._random, self._confirm)
        }

    def next(self) -> Job | Wait | Done | SearchEnded | TimeExpired:
        """Return the next job, once for every free worker; WAIT comes only while jobs are running.

        An event instead is to be recorded and applied before asking again.
        """
        if expired := self.find_expiry():
            return expired
        for stage in self._stages:
            answers = []
            for phase in stage:
                answer = DONE if self.state.time_expired else phase.next(self.state)
                if isinstance(answer, Job | SearchEnded):
                    return answer
                answers.append(answer)
            # The next stage begins when all jobs of this one have ended.
            if any(self.state.is_running(phase.kind) for phase in stage):
                return WAIT
            assert all(answer is DONE for answer in answers), "nothing runs that could end the wait"
        return DONE

    def find_expiry(self) -> TimeExpired | None:
        """Return the event to record when `stop.hours` has passed and anything is left to do; else None."""
        state = self.state
        is_over = state.num_running == 0 and self._confirm.has_ended(state)
        if state.time_expired or not self._stopping.is_out_of_time() or is_over:
            return None
        reason = self._stopping.describe_time()
        if state.search_ended:
            notes = [f"The sweep ended before its last jobs: {reason}"]
        else:
            num = f"{len(state.of_kind('search'))} of {self._config.num_trials}"
            notes = [f"The search ended after {num} trials: {reason}"]
        phases = (self._baseline, self._resume, self._random, self._confirm)
        dropped = [rest for phase in phases if (rest := phase.describe_rest(state))]
        if dropped:
            notes.append(f"Not trained for lack of time: {' and '.join(dropped)}.")
        return TimeExpired(notes=tuple(notes))

    def must_stop(self, number: int) -> Stop | None:
        """Return whether a running job, which has validated and has more to train, ends there."""
        trial = self.state.running(number)
        if trial.job.may_prune and self._search.should_prune(trial):
            return Stop()
        limit = self._stopping.find_end_of_trial(self.state, trial)
        return Stop(limit) if limit else None

    def describe_violation(self, number: int) -> str | None:
        """Return which bounds of the budget a running job's measured costs break; None where they keep all."""
        costs = self.state.running(number).measured or {}
        violations = self._budget.describe_violations(costs)
        shown = ", ".join(f"{name} {cost:.4g}" for name, cost in costs.items())
        return f"{violations} (measured: {shown})" if violations else None

    def apply(self, event: Event) -> None:
        """Take in an event: one that has happened, or one that is read back from the log of an earlier session.

        The study comes first: what its journal lacks after a kill is written when the event is read back.

        Raises:
            OutputError: this scheduler would not have started the job: code or packages decide differently now.
            ConfigError: a session's limits leave no room for the baseline trials that they ask for.
        """
        job = None
        match event:
            case SessionStarted():
                if self.state.session is not None and event.limits != self.state.session.limits:
                    self._extend(self._config.with_limits(event.limits))
            case Started():
                job = self._get_started(event)
                if event.kind == "search":
                    self._search.apply(event, self.state)
            case Resumed():
                job = replace_resumed(self.state.trials[event.number])
                self._search.apply(event, self.state)
            case Measured() | Validated() | Ended():
                if self.state.running(event.number).job.kind == "search":
                    self._search.apply(event, self.state)
                    if isinstance(event, Ended) and event.status == "pruned":
                        self._resume.note_pruned(event.number)
            case SearchEnded() | TimeExpired():
                pass
        self.state.apply(event, job)

    @property
    def num_jobs_expected(self) -> int:
        """Jobs of the whole sweep: an upper bound until the search has ended, then exact."""
        return len(self.state.trials) if self.state.time_expired else sum(self.count_expected().values())

    def count_expected(self) -> dict[Kind, int]:
        """Return the number of jobs of each kind, started ones included; upper bounds until the search has ended."""
        return {kind: phase.count_expected(self.state) for kind, phase in self._phase_of.items()}

    @property
    def trial_numbers(self) -> Mapping[int, int]:
        """Optuna's trial number of each search job."""
        return self._search.trial_numbers

    @property
    def finalists(self) -> list[Finalist]:
        """What is confirmed, search trials first; empty until the search has ended."""
        return self._confirm.finalists

    @property
    def notes(self) -> list[str]:
        """What the report should say about the course of the sweep, in sentences."""
        ended, expired = self.state.search_ended, self.state.time_expired
        notes = [ended.note] if ended and ended.note else []
        return [*notes, *self._resume.notes, *(expired.notes if expired else ()), *self._confirm.notes]

    @property
    def num_unresumable(self) -> int:
        """Pruned search trials whose checkpoints were not kept."""
        return self._resume.count_unresumable(self.state)

    def _get_started(self, event: Started) -> Job:
        job, now = self._phase_of[event.kind].find_job(self.state, event.number), "there is none"
        if job is not None:
            if event == dataclasses.replace(Started.from_job(job), time=event.time):
                return job
            now = f"{job.kind} of {job.arm}, seed {job.run.seed}"
        was = f"job {event.number} ({event.kind} of {event.arm}, seed {event.seed})"
        hint = "Resume with the code and the packages that the sweep was started with"
        raise OutputError("resume", was, f"would be another one now: {now}", hint)

    def _extend(self, config: SweepConfig) -> None:
        """Take over a configuration with higher limits that is the same otherwise.

        Each preset gets the baseline trials that it lacks, and finalists are chosen again. New jobs are numbered
        from above all others.
        """
        self._config = config
        numbers = [*self.state.trials, *(job.number for job in self._baseline.all_jobs)]
        first = max(numbers, default=-1) + 1
        more = self._baseline.add_jobs(config, first)
        self._stopping.extend(config, more, self.state)
        self._search.extend(config, first + len(more), self.state)
        self._resume.extend(config)
        self._random.extend(config)
        self._confirm.extend(config)


def check_decisions(config: SweepConfig, candidates: Candidates) -> None:
    """Check all that decides a sweep, before there is a machine to run it.

    Raises:
        UserError: see `Scheduler`.
    """
    presets, _ = choose_presets(config.baseline.presets, candidates, None)
    baselines = BaselinePhase(config, candidates, presets).all_jobs
    StoppingCriteria(config, Objectives.from_config(config, candidates), baselines, 1, lambda: 0.0)
    SweepStudy.check(config, candidates)
