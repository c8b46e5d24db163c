"""Random search with the search's compute: what the same FLOPs find without a sampler and without pruning."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping

import numpy as np

from sweeps.config import SweepConfig
from sweeps.events import Job, Outcome
from sweeps.search.seeds import random_seed
from sweeps.space.candidates import Candidates

ARM = "random search"


def search_flops(jobs: Mapping[int, Job], outcomes: Mapping[int, Outcome]) -> int:
    """Training FLOPs that the ended search trials have reported, pruned and failed ones included."""
    last = [outcomes[job.number].reports[-1:] for job in jobs.values() if job.kind == "search"]
    return sum(reports[0].train_flops for reports in last if reports)


def random_jobs(
    config: SweepConfig, candidates: Candidates, flops: int, first_number: int, made: int = 0
) -> Iterator[Job]:
    """Distinct feasible configurations, each as likely as the others, while their training FLOPs stay within
    the search's; one at least.

    All are trained to their end on the search's own seed. Whatever the FLOPs, the same sweep draws the same
    sequence: more FLOPs only make it longer.

    Args:
        flops: the search's.
        first_number: of the first job.
        made: jobs of the sequence that exist already and are left out.
    """
    rng = np.random.default_rng(random_seed(config.seed))
    tried: set[str] = set()
    spent = 0
    for index in itertools.count():
        candidate = candidates.sample(rng, tried)
        if candidate is None:
            return
        tried.add(candidate.key)
        spent += candidate.flops_per_step * candidate.run.train.steps
        if index and spent > flops:
            return
        if index >= made:
            yield Job(
                number=first_number + index - made,
                kind="random",
                arm=ARM,
                params=candidate.values,
                run=dataclasses.replace(candidate.run, seed=config.seed),
                num_params=candidate.num_params,
                flops_per_step=candidate.flops_per_step,
            )
