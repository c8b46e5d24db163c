"""After the search: which configurations are rerun on fresh seeds, and as which jobs."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from sweeps.config import SweepConfig
from sweeps.jobs import Job, Outcome
from sweeps.search.objective import Objective
from sweeps.search.seeds import confirmation_seeds
from sweeps.space.candidates import LEARNING_RATE, Candidate


@dataclass(frozen=True, kw_only=True)
class Entrant:
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


def choose_arms(
    config: SweepConfig,
    objective: Objective,
    jobs: Mapping[int, Job],
    outcomes: Mapping[int, Outcome],
    searched: Mapping[int, Candidate],
    presets: Mapping[str, Candidate],
) -> tuple[list[Entrant], list[str]]:
    """What is confirmed, finalists first, and in sentences what is missing; nothing without finalists.

    Args:
        searched: the candidate of each search job.
        presets: the candidate of each baseline.
    """
    if config.confirm.finalists == 0:
        return [], []
    best = finalists(config, objective, jobs, outcomes, searched, presets)
    confirmed = best_baselines(objective, jobs, outcomes)
    notes = [] if best else ["No search trial was completed: only the baselines are confirmed."]
    names = {arm.name for arm in confirmed}
    notes += [
        f"Every trial of the baseline {name} failed: it is not confirmed."
        for name in presets
        if name not in names
    ]
    return best + confirmed + best_random(objective, jobs, outcomes), notes


def finalists(
    config: SweepConfig,
    objective: Objective,
    jobs: Mapping[int, Job],
    outcomes: Mapping[int, Outcome],
    searched: Mapping[int, Candidate],
    presets: Mapping[str, Candidate],
) -> list[Entrant]:
    """The best completed configurations of the search, best first, the earlier one where two are equal.

    One with replicates stands at their mean, under the name of its first completed trial.
    """
    twins = {candidate.architecture: name for name, candidate in presets.items()}
    values: dict[str, dict[int, float]] = defaultdict(dict)
    for number, candidate in searched.items():
        value = _reached(objective, outcomes[number])
        if value is not None:
            values[candidate.key][number] = value
    arms = []
    for reached in values.values():
        first = next(iter(reached))
        job, preset = jobs[first], twins.get(searched[first].architecture)
        arms.append(Entrant(name=job.arm, job=job, objective=fmean(reached.values()), preset=preset))
    arms.sort(key=lambda arm: (objective.best_first(arm.objective), arm.job.number))
    return arms[: config.confirm.finalists]


def best_random(
    objective: Objective, jobs: Mapping[int, Job], outcomes: Mapping[int, Outcome]
) -> list[Entrant]:
    """The best completed configuration of random search, chosen as finalists are; none without one."""
    reached = [
        Entrant(name=job.arm, job=job, objective=value)
        for job in jobs.values()
        if job.kind == "random" and (value := _reached(objective, outcomes[job.number])) is not None
    ]
    reached.sort(key=lambda arm: (objective.best_first(arm.objective), arm.job.number))
    return reached[:1]


def best_baselines(
    objective: Objective, jobs: Mapping[int, Job], outcomes: Mapping[int, Outcome]
) -> list[Entrant]:
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
            values = [_reached(objective, outcomes[job.number]) for job in same_rate]
            reached = [value for value in values if value is not None]
            if reached:
                mean = fmean(reached)
                rank = (len(values) - len(reached), objective.best_first(mean), same_rate[0].number)
                ranked.append((rank, Entrant(name=name, job=same_rate[0], objective=mean)))
        if ranked:
            arms.append(min(ranked, key=lambda pair: pair[0])[1])
    return arms


def confirmation_jobs(
    config: SweepConfig, arms: Sequence[Entrant], first_number: int, made: Iterable[Job] = ()
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
            )
            number += 1


def _reached(objective: Objective, outcome: Outcome) -> float | None:
    return objective.value(outcome.reports) if outcome.status == "completed" else None
