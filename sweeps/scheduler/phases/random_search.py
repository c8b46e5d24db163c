"""Random search with the search's compute: what the same FLOPs find without a sampler and without pruning."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from sweeps.config import SweepConfig
from sweeps.events import Job, Kind
from sweeps.scheduler.phases.base import DeferredPhase, make_job
from sweeps.scheduler.state import SweepState
from sweeps.search.seeds import derive_random_search_seed
from sweeps.space.candidates import Candidates

ARM = "random search"


class RandomSearchPhase(DeferredPhase):
    """Trains distinct feasible configurations, each as likely as the others, until the search's FLOPs are spent.

    It begins when the search has ended: only then is it known what that has spent. All jobs are trained to their end
    on the search's own seed. Whatever the FLOPs, the same sweep draws the same sequence: more FLOPs only make it
    longer.

    Args:
        count_search: returns the number of search trials that are expected.
    """

    kind: Kind = "random"
    phrase = "random search"

    def __init__(
        self, config: SweepConfig, candidates: Candidates, count_search: Callable[[SweepState], int]
    ) -> None:
        super().__init__(config, candidates)
        self._count_search = count_search

    def make_jobs(self, state: SweepState) -> Sequence[Job]:
        """Draw the jobs, without those of earlier sessions."""
        if not self._config.baseline.random:
            return []
        flops = sum(trial.train_flops for trial in state.of_kind("search"))
        num_made = len(state.of_kind(self.kind))
        return list(draw_jobs(self._config, self._candidates, flops, state.next_number, num_made))

    def estimate(self, state: SweepState) -> int:
        """Return as many as search trials, which is about right."""
        if not self._config.baseline.random:
            return 0
        return max(1, self._count_search(state) - len(state.of_kind(self.kind)))


def draw_jobs(
    config: SweepConfig, candidates: Candidates, flops: int, first_number: int, num_made: int = 0
) -> Iterator[Job]:
    """Yield jobs while their training FLOPs stay within `flops`, one at least.

    Args:
        num_made: jobs of the sequence that exist already and are left out.
    """
    rng = np.random.default_rng(derive_random_search_seed(config.seed))
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
        if index >= num_made:
            number = first_number + index - num_made
            yield make_job(config, candidate, seed=config.seed, number=number, kind="random", arm=ARM)
