"""All decisions of a sweep: search, baselines, confirmations. Runs nothing and knows no clock.

A free slot goes to the search when its next trial may be asked for; else to a baseline, for these depend on
nothing and so fill what would be idle while a deterministic search waits for a slow trial. When the search has
ended, pruned trials are revived; when all of these have ended, it is random search's turn, where that is asked for,
and then the confirmations'.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sweeps.config import SweepConfig
from sweeps.events import Job, Kind, Outcome, Report
from sweeps.scheduler.phases.baseline import baseline_jobs, choose_presets
from sweeps.scheduler.phases.confirm import Finalist, choose_finalists, confirmation_jobs
from sweeps.scheduler.phases.random_search import random_jobs, search_flops
from sweeps.scheduler.phases.search import SearchTrials
from sweeps.scheduler.stopping import Clock, StoppingCriteria
from sweeps.search.objectives import LATENCY
from sweeps.space.candidates import Candidate, Candidates, PresetFit


class Wait:
    """No job can start before one of the running ones has reported or ended."""


class Done:
    """Every job of the sweep has ended."""


WAIT, DONE = Wait(), Done()


@dataclass(frozen=True)
class Stop:
    """A running job ends at its last report, as pruned."""

    limit: str | None = None
    """Which limit of the sweep ends it, in words for its row; None where the pruner does."""


class Scheduler:
    """What to run next, what to stop, and what to rerun at the end.

    Asked by whoever has a free slot; told of every report and end. Under `deterministic` its answers depend
    on what the jobs reported and on the number of slots, never on which of them was faster.

    Args:
        config: the sweep.
        candidates: the space within its budget.
        journal: file of the Optuna journal; None keeps it in memory.
        slots: jobs that run at once.
        memory_bytes: what one trial may use; presets beyond are left out. None is no bound.
        clock: read for `stop.hours` only.

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
        self.jobs: dict[int, Job] = {}
        """Started so far, by number, in the order of starting. Numbers do not depend on that order: baselines
        have the first, then search trials, then confirmations; an extension starts over above them."""
        self.outcomes: dict[int, Outcome] = {}
        """Ended so far, by job number."""
        self.arms: list[Finalist] = []
        """What is confirmed, finalists first; empty until the search has ended."""
        self.notes: list[str] = []
        """What the report should say of the course of the sweep, in sentences."""
        self.left_out: list[PresetFit]
        """Presets that are not trained, `misfit` saying why."""
        self._presets: dict[str, Candidate]
        self._config = config
        self._presets, self.left_out = choose_presets(config.baseline.presets, candidates, memory_bytes)
        self._candidates = candidates
        self._num_feasible = candidates.num_feasible_trials
        self._baselines = list(baseline_jobs(config, candidates, self._presets))
        self._queue = deque(self._baselines)
        self._search = SearchTrials(config, candidates, journal, slots, len(self._baselines))
        self._search_over = False
        self._kept: set[int] = set()
        """Search jobs that were pruned while their checkpoints were to be kept."""
        self._to_revive: deque[int] | None = None
        """Pruned jobs that go on, once it is decided which."""
        self._drawn = not config.baseline.random
        """Whether random search has its jobs, if there is any."""
        self._confirming = False
        self._timed_out = False
        self._reports: dict[int, list[Report]] = {}
        self._limits = StoppingCriteria(
            config, self._search.study.objectives, self._baselines, self.jobs, self.outcomes, self._reports,
            slots, clock,
        )  # fmt: skip

    def next_job(self) -> Job | Wait | Done:
        """The next job to start, once for every free slot; WAIT comes only while jobs are running."""
        self._heed_time()
        if self._may_search():
            return self._start_search(self._search.next_job())
        if self._may_revive() and self._to_revive:
            number = self._to_revive.popleft()
            self._search.revive(number)
            return self._revived(number)
        if self._queue:
            return self._start(self._queue.popleft())
        if self._num_running:
            return WAIT
        assert self._search_over, "nothing runs that could end the wait"
        if self._confirming:
            return DONE
        if not self._drawn:
            self._draw()
            return self.next_job()
        self._confirm()
        return self.next_job()

    def report(self, number: int, report: Report) -> None:
        """Takes a report of a running job, in order."""
        assert number in self.jobs and number not in self.outcomes, f"job {number} is not running"
        self._reports[number].append(report)
        if self.jobs[number].kind == "search":
            self._search.report(number, self._reports[number])

    def must_stop(self, number: int) -> Stop | None:
        """Whether a running job, which has reported and has more to train, ends at its last report."""
        self._heed_time()
        if self.jobs[number].may_prune and self._search.should_prune(number, self._reports[number]):
            return Stop()
        limit = self._limits.must_end(number)
        return Stop(limit) if limit else None

    def end(self, number: int, outcome: Outcome) -> None:
        """Takes the end of a running job."""
        assert number in self.jobs and number not in self.outcomes, f"job {number} is not running"
        self._note_end(number, outcome)
        if self.jobs[number].kind == "search":
            self._search.end(number, outcome, self._reports[number])

    def recall_start(self, number: int, kind: Kind) -> Job:
        """The job of a kind that was started under a number before the sweep was stopped.

        Recalled are a sweep's events in their order, into a plan with its journal; `settle` ends it.

        Raises:
            LookupError: this plan would have started no such job.
        """
        if kind == "search" and (recalled := self._search.recall_job()):
            return self._start_search(recalled)
        if kind == "random" and not self._drawn:
            self._draw()
        if kind == "confirm" and not self._confirming:
            self._confirm()
        job = next((job for job in self._queue if job.number == number), None)
        if job is None:
            raise LookupError(f"no {kind} job {number}")
        self._queue.remove(job)
        return self._start(job)

    def recall_report(self, number: int, report: Report) -> None:
        """A report that was taken before; whether the job had to stop was decided then."""
        self._reports[number].append(report)

    def recall_end(self, number: int, outcome: Outcome) -> None:
        """An end that was taken before."""
        self._note_end(number, outcome)

    def recall_revival(self, number: int) -> Job:
        """The pruned job that was revived before the sweep was stopped."""
        self._search.revive(number)
        return self._revived(number)

    def settle(self) -> None:
        """Writes into the study what was recalled and it lacks."""
        self._search.settle(self._reports, self.outcomes)

    def extend(self, config: SweepConfig) -> None:
        """Goes on under a configuration whose limits are higher and that is the same otherwise.

        Each preset gets the baseline trials that it lacks, and the confirmations begin anew, without those
        that have been made. New jobs are numbered from above all others.

        Raises:
            ConfigError: a limit leaves no room for the baseline trials.
        """
        self._config = config
        self._search_over = self._confirming = self._timed_out = False
        self._to_revive = None
        self._drawn = not config.baseline.random
        self.notes.clear()
        self._queue = deque(job for job in self._queue if job.kind == "baseline")
        more = list(baseline_jobs(config, self._candidates, self._presets))[len(self._baselines) :]
        first = max([*self.jobs, *(job.number for job in self._baselines)], default=-1) + 1
        more = [dataclasses.replace(job, number=first + i) for i, job in enumerate(more)]
        self._baselines += more
        self._queue.extend(more)
        self._limits.extend(config, more)
        self._search.extend(config, first + len(more))

    @property
    def num_jobs_expected(self) -> int:
        """Jobs of the whole sweep: an upper bound until the search has ended, then exact."""
        if self._confirming:
            return len(self.jobs) + len(self._queue)
        num_search = len(self._search)
        if not self._search_over:
            most = self._limits.most_search_trials
            num_search = min(most, (self._num_feasible or most) * self._config.replicates)
        confirm = self._config.confirm
        is_random = self._config.baseline.random
        num_arms = (
            min(confirm.finalists, num_search) + len(self._presets) + is_random if confirm.finalists else 0
        )
        num_random = num_search if is_random else 0
        num_confirmed = sum(job.kind == "confirm" for job in self.jobs.values())
        num_confirm = num_confirmed + num_arms * confirm.seeds
        return len(self._baselines) + num_search + num_random + num_confirm

    @property
    def trial_numbers(self) -> Mapping[int, int]:
        """Optuna's trial number of each search job."""
        return self._search.trial_numbers

    @property
    def presets(self) -> Mapping[str, Candidate]:
        """The presets that are trained as baselines, by name."""
        return self._presets

    @property
    def _num_running(self) -> int:
        return len(self.jobs) - len(self.outcomes)

    @property
    def num_unrevivable(self) -> int:
        """Pruned search trials whose checkpoints were not kept."""
        return sum(number not in self._kept for number in self._pruned)

    @property
    def _pruned(self) -> list[int]:
        return [
            number
            for number, outcome in self.outcomes.items()
            if outcome.status == "pruned" and self.jobs[number].kind == "search"
        ]

    def _may_search(self) -> bool:
        """Whether a search trial can start now; notices the end of the search."""
        if (
            self._search_over
            or not self._search.study.is_ready(self._search.num_trials)
            or self._limits.must_wait()
        ):
            return False
        if any(number not in self.outcomes for number in self._search.revivals):
            return False  # a limit would look back on what depends on the speed of workers
        if len(self._search) >= self._config.num_trials:
            self._search_over = True
        elif limit := self._limits.search_over():
            self._end_search(limit)
        elif self._search.study.is_exhausted(self._search.num_trials):
            self._end_search("it had tried every distinct configuration within the budget.")
        return not self._search_over

    def _may_revive(self) -> bool:
        """Whether pruned trials may go on; decides which when the last search trial has ended."""
        if not self._config.revive or not self._search_over or self._timed_out:
            return False
        if self._to_revive is None:
            trials = self._search.trial_numbers
            if any(number not in self.outcomes and not self.jobs[number].revived for number in trials):
                return False
            self._to_revive = deque(self._chosen_to_revive())
        return True

    def _chosen_to_revive(self) -> list[int]:
        """The best-looking, within the limits. One that a limit has ended again counts as never revived."""
        pruned = set(self._pruned)
        most = max(0, self._config.revive - len(set(self._search.revivals) - pruned))
        kept = {number: self._reports[number] for number in pruned & self._kept}
        chosen = self._search.best_looking_first(kept)[:most]
        affordable = list(self._limits.affordable(chosen))
        if len(affordable) < len(chosen):
            rest = len(chosen) - len(affordable)
            self.notes.append(
                f"{rest} of {len(chosen)} pruned trials were not revived: stop.flops leaves too little."
            )
        return affordable

    def _revived(self, number: int) -> Job:
        """A pruned job, running again."""
        del self.outcomes[number]
        reports = tuple(self._reports[number])
        job = dataclasses.replace(self.jobs[number], may_prune=False, revived=reports)
        self.jobs[number] = job
        self._limits.revived(number)
        return job

    def _note_end(self, number: int, outcome: Outcome) -> None:
        self.outcomes[number] = outcome
        if outcome.status == "pruned" and self._config.revive:
            self._kept.add(number)

    def _end_search(self, reason: str) -> None:
        self._search_over = True
        num = f"{len(self._search)} of {self._config.num_trials}"
        self.notes.append(f"The search ended after {num} trials: {reason}")

    def _heed_time(self) -> None:
        """Drops what has not started when the time is over."""
        limit = self._limits.out_of_time()
        is_done = self._confirming and not self._queue and not self._num_running
        if limit is None or is_done or self._timed_out:
            return
        self._timed_out = True
        if self._search_over:
            self.notes.append(f"The sweep ended before its last jobs: {limit}")
        else:
            self._end_search(limit)
        baselines = sum(job.kind == "baseline" for job in self._queue)
        dropped = [f"{baselines} baseline trials"] if baselines else []
        if self._config.revive and self._pruned and (self._to_revive is None or self._to_revive):
            dropped.append("revived trials")
        if not self._drawn or any(job.kind == "random" for job in self._queue):
            dropped.append("random search")
        if self._config.confirm.finalists and (not self._confirming or self._queue):
            dropped.append("confirmations")
        if dropped:
            self.notes.append(f"Not trained for lack of time: {' and '.join(dropped)}.")
        self._confirming = True
        self._queue.clear()

    def _start(self, job: Job) -> Job:
        assert job.number not in self.jobs
        if LATENCY in self._search.study.objectives.each:
            job = dataclasses.replace(job, measure_latency=True)
        self.jobs[job.number] = job
        self._reports[job.number] = []
        return job

    def _start_search(self, job: Job) -> Job:
        self._limits.started(job)
        return self._start(job)

    def _draw(self) -> None:
        """Random search begins when the search has ended: only then is it known what that has spent."""
        self._drawn = True
        spent = search_flops(self.jobs, self.outcomes)
        made = sum(job.kind == "random" for job in self.jobs.values())
        first = max(self.jobs, default=-1) + 1
        self._queue.extend(random_jobs(self._config, self._candidates, spent, first, made))

    def _confirm(self) -> None:
        self._confirming = True
        self.arms, notes = choose_finalists(
            self._config, self._search.study.objectives, self.jobs, self.outcomes, self._search.candidates,
            self._presets,
        )  # fmt: skip
        self.notes += notes
        made = [job for job in self.jobs.values() if job.kind == "confirm"]
        first = max(self.jobs, default=-1) + 1
        self._queue.extend(confirmation_jobs(self._config, self.arms, first, made))
