"""After the search: which configurations are rerun on fresh seeds, and as which jobs."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from sweeps.config import SweepConfig
from sweeps.events import Job, Outcome, Report
from sweeps.search.objectives import Objective, Objectives
from sweeps.search.seeds import confirmation_seeds
from sweeps.space.candidates import LEARNING_RATE, Candidate


@dataclass(frozen=True, kw_only=True)
class Finalist:
    """One configuration of the confirmation.

    Args:
        name: `trial 7`, or a preset's name.
        job: the search or baseline job that it reruns.
        objective: what that job reached; the mean where its configuration was trained more than once.
        preset: for a finalist, the baseline whose architecture it has, if any: its win credits the learning
            rate only.
    """

    name: str
    job: Job
    objective: float
    preset: str | None = None


def choose_finalists(
    config: SweepConfig,
    objectives: Objectives,
    jobs: Mapping[int, Job],
    outcomes: Mapping[int, Outcome],
    searched: Mapping[int, Candidate],
    presets: Mapping[str, Candidate],
) -> tuple[list[Finalist], list[str]]:
    """What is confirmed, finalists first, and in sentences what is missing; nothing without finalists.

    Args:
        searched: the candidate of each search job.
        presets: the candidate of each baseline.
    """
    if config.confirm.finalists == 0:
        return [], []
    best = finalists(config, objectives, jobs, outcomes, searched, presets)
    confirmed = best_baselines(objectives.first, jobs, outcomes)
    notes = [] if best else ["No search trial was completed: only the baselines are confirmed."]
    names = {arm.name for arm in confirmed}
    notes += [
        f"Every trial of the baseline {name} failed: it is not confirmed."
        for name in presets
        if name not in names
    ]
    return best + confirmed + best_random(objectives, jobs, outcomes), notes


def finalists(
    config: SweepConfig,
    objectives: Objectives,
    jobs: Mapping[int, Job],
    outcomes: Mapping[int, Outcome],
    searched: Mapping[int, Candidate],
    presets: Mapping[str, Candidate],
) -> list[Finalist]:
    """The best completed configurations of the search, as `Objectives.best` orders them.

    One with replicates stands at their mean, under the name of its first completed trial.
    """
    twins = {candidate.architecture: name for name, candidate in presets.items()}
    found: dict[str, dict[int, tuple[float, ...]]] = defaultdict(dict)
    for number, candidate in sorted(searched.items()):
        values = objectives.values(jobs[number].run, _completed(outcomes[number]))
        if values is not None:
            found[candidate.key][number] = values
    arms, means = [], []
    for reached in found.values():
        first = next(iter(reached))
        job, preset = jobs[first], twins.get(searched[first].architecture)
        means.append([fmean(column) for column in zip(*reached.values(), strict=True)])
        arms.append(Finalist(name=job.arm, job=job, objective=means[-1][0], preset=preset))
    return [arms[place] for place in objectives.best(means, config.confirm.finalists)]


def best_random(
    objectives: Objectives, jobs: Mapping[int, Job], outcomes: Mapping[int, Outcome]
) -> list[Finalist]:
    """The best completed configuration of random search, chosen as finalists are; none without one."""
    drawn = sorted((job for job in jobs.values() if job.kind == "random"), key=lambda job: job.number)
    reached = [(job, objectives.values(job.run, _completed(outcomes[job.number]))) for job in drawn]
    ended = [(job, values) for job, values in reached if values is not None]
    best = objectives.best([values for _, values in ended], 1)
    return [Finalist(name=ended[i][0].arm, job=ended[i][0], objective=ended[i][1][0]) for i in best]


def best_baselines(
    objective: Objective, jobs: Mapping[int, Job], outcomes: Mapping[int, Outcome]
) -> list[Finalist]:
    """Each preset at its best learning rate; a preset whose every trial failed is left out.

    A rate of which a trial failed comes behind those of which none did.
    """
    trials: dict[str, dict[float, list[Job]]] = defaultdict(lambda: defaultdict(list))
    for job in jobs.values():
        if job.kind == "baseline":
            trials[job.arm][job.params[LEARNING_RATE]].append(job)
    arms = []
    for name, rates in trials.items():
        ranked = []
        for same_rate in rates.values():
            values = [objective.value(_completed(outcomes[job.number])) for job in same_rate]
            reached = [value for value in values if value is not None]
            if reached:
                mean = fmean(reached)
                rank = (len(values) - len(reached), objective.best_first(mean), same_rate[0].number)
                ranked.append((rank, Finalist(name=name, job=same_rate[0], objective=mean)))
        if ranked:
            arms.append(min(ranked, key=lambda pair: pair[0])[1])
    return arms


def confirmation_jobs(
    config: SweepConfig, arms: Sequence[Finalist], first_number: int, made: Iterable[Job] = ()
) -> Iterator[Job]:
    """The arms' jobs on the same fresh seeds: every arm at the first seed, then at the second, ...

    Args:
        made: confirmations that need not be made again, of an earlier end of the same sweep.
    """
    done = {(job.arm, repr(job.run)) for job in made}
    number = first_number
    for i, seed in enumerate(confirmation_seeds(config.seed, config.confirm.seeds)):
        for arm in arms:
            run = dataclasses.replace(arm.job.run, seed=seed)
            if (arm.name, repr(run)) in done:
                continue
            yield dataclasses.replace(
                arm.job,
                number=number,
                kind="confirm",
                run=run,
                read_test=True,
                keep_model=i == 0,
                may_prune=False,
                revived=(),
            )
            number += 1


def _completed(outcome: Outcome) -> Sequence[Report]:
    """The reports of a job that has completed; none of another, so that no objective has a value."""
    return outcome.reports if outcome.status == "completed" else ()
