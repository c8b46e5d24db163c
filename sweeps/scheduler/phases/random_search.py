"""Random search with the search's compute: what the same FLOPs find without a sampler and without pruning."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from sweeps.config import SweepConfig
from sweeps.events import Job, Kind
from sweeps.scheduler.phases.base import QueuePhase, select_measured
from sweeps.scheduler.state import SweepState
from sweeps.search.seeds import derive_random_search_seed
from sweeps.space.candidates import Candidates

ARM = "random search"


class RandomSearchPhase(QueuePhase):
    """Trains distinct feasible configurations, each as likely as the others, until the search's FLOPs are spent.

    It begins when the search has ended: only then is it known what that has spent. All jobs are trained to their end
    on the search's own seed. Whatever the FLOPs, the same sweep draws the same sequence: more FLOPs only make it
    longer.

    Args:
        count_search: returns the number of search trials that are expected.
    """

    kind: Kind = "random"

    def __init__(
        self, config: SweepConfig, candidates: Candidates, count_search: Callable[[SweepState], int]
    ) -> None:
        super().__init__()
        self._config, self._candidates, self._count_search = config, candidates, count_search

    def make_jobs(self, state: SweepState) -> Sequence[Job]:
        """Draw the jobs, without those of earlier sessions."""
        if not self._config.baseline.random:
            return []
        flops = sum(trial.train_flops for trial in state.of_kind("search"))
        num_made = len(state.of_kind(self.kind))
        return list(draw_jobs(self._config, self._candidates, flops, state.next_number, num_made))

    def extend(self, config: SweepConfig) -> None:
        """Draw again, after a longer search."""
        self._config, self._jobs, self._num_seen = config, None, 0

    def count_expected(self, state: SweepState) -> int:
        """Return the number of jobs; before the draw as many as search trials, which is about right."""
        waiting = self.num_waiting(state)
        if waiting is None:
            return self._count_search(state) if self._config.baseline.random else 0
        return len(state.of_kind(self.kind)) + waiting

    def describe_rest(self, state: SweepState) -> str | None:
        """Return a phrase for the jobs that have not started; None if there are none."""
        waiting = self.num_waiting(state)
        open_ended = waiting is None and self._config.baseline.random
        return "random search" if waiting or open_ended else None


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
            yield Job(
                number=first_number + index - num_made,
                kind="random",
                arm=ARM,
                params=candidate.values,
                run=dataclasses.replace(candidate.run, seed=config.seed),
                num_params=candidate.num_params,
                flops_per_step=candidate.flops_per_step,
                **select_measured(config),
            )
