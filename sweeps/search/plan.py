"""All decisions of a sweep: search, baselines, confirmations. Runs nothing and knows no clock.

A free slot goes to the search when its next trial may be asked for; else to a baseline, for these depend on
nothing and so fill what would be idle while a deterministic search waits for a slow trial; and when both have
ended, to random search where it is asked for, and then to the confirmations.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from sweeps.config import SweepConfig
from sweeps.jobs import Job, Kind, Outcome, Report, Status
from sweeps.search.baselines import baseline_jobs, choose_presets
from sweeps.search.confirmation import Entrant, best_baselines, best_random, confirmation_jobs, finalists
from sweeps.search.limits import Clock, Limits
from sweeps.search.random_arm import random_jobs, search_flops
from sweeps.search.seeds import replicate_seed
from sweeps.search.study import SweepStudy
from sweeps.space.candidates import Candidate, Candidates, PresetPlace


class Wait:
    """No job can start before one of the running ones has reported or ended."""


class Done:
    """Every job of the sweep has ended."""


WAIT, DONE = Wait(), Done()


class Plan:
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
        self.trial_numbers: dict[int, int] = {}
        """Optuna's trial number of each search job."""
        self.arms: list[Entrant] = []
        """What is confirmed, finalists first; empty until the search has ended."""
        self.notes: list[str] = []
        """What the report should say of the course of the sweep, in sentences."""
        self.left_out: list[PresetPlace]
        """Presets that are not trained, `misfit` saying why."""
        self._presets: dict[str, Candidate]
        self._config = config
        self._presets, self.left_out = choose_presets(config.baseline.presets, candidates, memory_bytes)
        self._study = SweepStudy(config, candidates, journal, slots)
        self._candidates = candidates
        self._num_feasible = candidates.num_feasible_trials
        self._baselines = list(baseline_jobs(config, candidates, self._presets))
        self._queue = deque(self._baselines)
        self._next_search = len(self._queue)
        self._searched: dict[int, Candidate] = {}
        self._search_over = False
        self._drawn = not config.baseline.random
        """Whether random search has its jobs, if there is any."""
        self._confirming = False
        self._timed_out = False
        self._reports: dict[int, list[Report]] = {}
        self._stopped: dict[int, str | None] = {}
        """Jobs that were told to stop: None where they were pruned, else which limit ended them."""
        self._limits = Limits(config, self._baselines, self.jobs, self.outcomes, self._reports, slots, clock)

    def next_job(self) -> Job | Wait | Done:
        """The next job to start, once for every free slot; WAIT comes only while jobs are running."""
        self._heed_time()
        if self._may_search():
            return self._start_search()
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

    def report(self, number: int, report: Report) -> bool:
        """Takes a report of a running job, in order. True: stop the job, it is pruned or a limit ends it."""
        assert number in self.jobs and number not in self.outcomes, f"job {number} is not running"
        if number in self._stopped:
            return True
        self._reports[number].append(report)
        value = self._study.objective.value(self._reports[number])
        if number in self.trial_numbers and value is not None:
            self._study.report(self.trial_numbers[number], report.index, value)
        return self.must_stop(number)

    def must_stop(self, number: int) -> bool:
        """Whether a running job is pruned at its last report, or ended by a limit."""
        job, reports = self.jobs[number], self._reports[number]
        if reports[-1].index == job.run.train.num_reports:
            return False
        self._heed_time()
        trial, value = self.trial_numbers.get(number), self._study.objective.value(reports)
        if trial is not None and value is not None and job.may_prune and self._study.should_prune(trial):
            self._stopped[number] = None
        elif limit := self._limits.must_end(number):
            self._stopped[number] = limit
        return number in self._stopped

    def why_stopped(self, number: int) -> str | None:
        """Which limit of the sweep ended a job that was told to stop; None where it was pruned."""
        return self._stopped[number]

    def end(self, number: int, outcome: Outcome) -> None:
        """Takes the end of a running job. One that was to be stopped counts as pruned however it ended."""
        assert number in self.jobs and number not in self.outcomes, f"job {number} is not running"
        if number in self._stopped:
            outcome = dataclasses.replace(outcome, status="pruned", error=self._stopped[number])
        self.outcomes[number] = outcome
        if self.jobs[number].kind == "search":
            self._study.tell(self.trial_numbers[number], *self._told(number, outcome))

    def recall_start(self, number: int, kind: Kind) -> Job:
        """The job of a kind that was started under a number before the sweep was stopped.

        Recalled are a sweep's events in their order, into a plan with its journal; `settle` ends it.

        Raises:
            LookupError: this plan would have started no such job.
        """
        if kind == "search" and len(self._searched) < self._study.num_asked:
            return self._start_search(self._study.recall(len(self._searched)))
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
        self.outcomes[number] = outcome

    def settle(self) -> None:
        """Writes into the study what was recalled and it lacks."""
        for number, trial in self.trial_numbers.items():
            reports, outcome = self._reports[number], self.outcomes.get(number)
            values = {
                report.index: value
                for i, report in enumerate(reports, 1)
                if (value := self._study.objective.value(reports[:i])) is not None
            }
            self._study.settle(trial, values, None if outcome is None else self._told(number, outcome))

    def extend(self, config: SweepConfig) -> None:
        """Goes on under a configuration whose limits are higher and that is the same otherwise.

        Each preset gets the baseline trials that it lacks, and the confirmations begin anew, without those
        that have been made. New jobs are numbered from above all others.
        """
        self._config = config
        self._study.extend(config)
        self._limits.config = config
        self._search_over = self._confirming = self._timed_out = False
        self._drawn = not config.baseline.random
        self.notes.clear()
        self._queue = deque(job for job in self._queue if job.kind == "baseline")
        more = list(baseline_jobs(config, self._candidates, self._presets))[len(self._baselines) :]
        first = max([*self.jobs, *(job.number for job in self._baselines)], default=-1) + 1
        more = [dataclasses.replace(job, number=first + i) for i, job in enumerate(more)]
        self._baselines += more
        self._queue.extend(more)
        self._next_search = first + len(more)

    @property
    def num_jobs_expected(self) -> int:
        """Jobs of the whole sweep: an upper bound until the search has ended, then exact."""
        if self._confirming:
            return len(self.jobs) + len(self._queue)
        num_search = len(self._searched)
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
    def presets(self) -> Mapping[str, Candidate]:
        """The presets that are trained as baselines, by name."""
        return self._presets

    @property
    def _num_running(self) -> int:
        return len(self.jobs) - len(self.outcomes)

    def _may_search(self) -> bool:
        """Whether a search trial can start now; notices the end of the search."""
        if self._search_over or not self._study.ready() or self._limits.must_wait():
            return False
        if len(self._searched) >= self._config.num_trials:
            self._search_over = True
        elif limit := self._limits.search_over():
            self._end_search(limit)
        elif self._study.exhausted():
            self._end_search("it had tried every distinct configuration within the budget.")
        return not self._search_over

    def _end_search(self, reason: str) -> None:
        self._search_over = True
        num = f"{len(self._searched)} of {self._config.num_trials}"
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
        self.jobs[job.number] = job
        self._reports[job.number] = []
        return job

    def _start_search(self, recalled: Candidate | None = None) -> Job:
        number = self._next_search
        trial, candidate = (len(self._searched), recalled) if recalled else self._study.ask(number)
        self._next_search += 1
        self.trial_numbers[number] = trial
        earlier = sum(other.key == candidate.key for other in self._searched.values())
        self._searched[number] = candidate
        job = Job(
            number=number,
            kind="search",
            arm=f"trial {trial}",
            params=candidate.values,
            run=dataclasses.replace(candidate.run, seed=replicate_seed(self._config.seed, earlier)),
            num_params=candidate.num_params,
            flops_per_step=candidate.flops_per_step,
            may_prune=self._config.pruner["name"] != "none",
        )
        self._limits.started(job)
        return self._start(job)

    def _draw(self) -> None:
        """Random search begins when the search has ended: only then is it known what that has spent."""
        self._drawn = True
        spent = search_flops(self.jobs, self.outcomes)
        made = sum(job.kind == "random" for job in self.jobs.values())
        first = max(self.jobs, default=-1) + 1
        self._queue.extend(random_jobs(self._config, self._candidates, spent, first, made))

    def _told(self, number: int, outcome: Outcome) -> tuple[Status, float | None, str | None]:
        """How the study is told of a search trial's end."""
        value = self._study.objective.value(self._reports[number])
        if outcome.status == "completed" and value is None:
            return "failed", None, f"no finite {self._config.objective} was reported"
        return outcome.status, value, outcome.error

    def _confirm(self) -> None:
        self._confirming = True
        self.arms = self._choose_arms()
        made = [job for job in self.jobs.values() if job.kind == "confirm"]
        first = max(self.jobs, default=-1) + 1
        self._queue.extend(confirmation_jobs(self._config, self.arms, first, made))

    def _choose_arms(self) -> list[Entrant]:
        if self._config.confirm.finalists == 0:
            return []
        best = finalists(
            self._config, self._study.objective, self.jobs, self.outcomes, self._searched, self._presets
        )
        if not best:
            self.notes.append("No search trial was completed: only the baselines are confirmed.")
        confirmed = best_baselines(self._study.objective, self.jobs, self.outcomes)
        names = {arm.name for arm in confirmed}
        self.notes += [
            f"Every trial of the baseline {name} failed: it is not confirmed."
            for name in self._presets
            if name not in names
        ]
        return best + confirmed + best_random(self._study.objective, self.jobs, self.outcomes)
