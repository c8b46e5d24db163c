"""NAS-Bench-Graph (Qin et al., arXiv 2206.09166): 26,206 graph networks with parameters, as a search under a budget.

A public table that knows nothing of this project, for samplers alone: it has one score of each network (validation,
a mean of three seeds), no curves and no FLOPs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution

from benchmarks.stock_policies import Step
from sweeps.search.constrained_sampler import KEY, ConstrainedSampler
from sweeps.search.samplers import SAMPLERS, SamplerContext
from sweeps.search.seeds import derive_suggestion_seed

OPERATIONS = 4
"""Places in a network."""


@dataclass(frozen=True)
class Graph:
    """One network within the budget, as a sampler meets it."""

    params: dict[str, Any]
    key: str


class Graphs:
    """One data set of the table: a problem for stock policies, and candidates for `ConstrainedSampler`.

    Args:
        dataset: `cora`, `citeseer`, ...
        quantile: of the parameters of all networks, above which they do not fit.
    """

    def __init__(self, dataset: str, quantile: float) -> None:
        from nas_bench_graph import Arch, gnn_list, light_read, link_list

        self._arch, self._links = Arch, [list(links) for links in link_list]
        self._table: dict[int, dict[str, float]] = light_read(dataset)
        self._most = float(np.quantile([row["para"] for row in self._table.values()], quantile))
        self.distributions = {
            "links": CategoricalDistribution(range(len(self._links))),
            **{f"operation_{place}": CategoricalDistribution(gnn_list) for place in range(OPERATIONS)},
        }
        fitting = [row for row in self._table.values() if row["para"] <= self._most]
        self._best = max(row["valid_perf"] for row in fitting)
        self.blind = self._best - float(np.median([row["valid_perf"] for row in fitting]))
        """Regret of the median network that fits."""

    def regret(self, key: str) -> float:
        """How far a network lies behind the best that fits."""
        return self._best - self._table[int(key)]["valid_perf"]

    def curve(self, params: Mapping[str, Any], seed: int) -> tuple[Any, Sequence[float]] | None:
        """See `stock_policies.Problem`: one score, smaller is better."""
        graph = self.candidate(params)
        return None if graph is None else (graph.key, [-self._table[int(graph.key)]["valid_perf"]])

    def candidate(self, params: Mapping[str, Any]) -> Graph | None:
        """See `Candidates.candidate`."""
        operations = [params[f"operation_{place}"] for place in range(OPERATIONS)]
        if set(operations) == {"skip"}:
            return None
        key = self._arch(self._links[params["links"]], operations).valid_hash()
        row = self._table.get(key)
        return Graph(dict(params), str(key)) if row is not None and row["para"] <= self._most else None

    def to_grid(self, params: dict[str, Any]) -> dict[str, Any]:
        """See `Candidates.to_grid`: all values are choices."""
        return params

    def sample(self, rng: np.random.Generator, exclude: Collection[str] = ()) -> Graph | None:
        """See `Candidates.sample`."""
        while True:
            params = {
                name: one.choices[int(rng.integers(len(one.choices)))]
                for name, one in self.distributions.items()
            }
            graph = self.candidate(params)
            if graph is not None and graph.key not in exclude:
                return graph

    def nearest(
        self, params: Mapping[str, Any], rng: np.random.Generator, exclude: Collection[str] = ()
    ) -> Graph | None:
        """See `Candidates.nearest`: no value has an order, so the nearest have most values in common."""
        for changed in range(1, len(self.distributions) + 1):
            for _ in range(200):
                drawn = dict(params)
                for name in rng.choice(list(self.distributions), changed, replace=False):
                    choices = self.distributions[name].choices
                    drawn[name] = choices[int(rng.integers(len(choices)))]
                graph = self.candidate(drawn)
                if graph is not None and graph.key not in exclude:
                    return graph
        return self.sample(rng, exclude)


def budgeted(graphs: Graphs, sampler: str, num_trials: int, seed: int) -> list[Step]:
    """This project's sampler of that name, within the budget and without duplicates."""
    study = optuna.create_study()
    candidates: Any = graphs
    steps = []
    for number in range(num_trials):
        drawn = derive_suggestion_seed(seed, number)
        entry = SAMPLERS[sampler]
        inner = entry.build(SamplerContext(candidates, num_trials, seed, drawn))
        study.sampler = ConstrainedSampler(candidates, inner, entry.draws, drawn)
        trial = study.ask(dict(graphs.distributions))
        found = graphs.curve(trial.params, seed)
        assert found is not None, f"over budget: {trial.params}"
        cell, values = found
        trial.set_user_attr(KEY, cell)
        study.tell(trial, values[-1])
        steps.append(Step(cell, 1.0, values[-1]))
    return steps
