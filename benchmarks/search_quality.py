"""How much training does a search need to find a good configuration? Ours against those that others bring along.

    python benchmarks/search_quality.py --make outputs/search-table
    python benchmarks/search_quality.py [--seeds 20] [--runs 32] [--figure docs/images/search-quality.png]
    python benchmarks/search_quality.py --graphs cora citeseer pubmed arxiv [--seeds 20] [--runs 60]
    python benchmarks/search_quality.py --speed [--seeds 20] [--runs 32]

The first makes `search_table.parquet` beside this file: every configuration of a small text HRM's space, trained on
three seeds. Killed, the same command goes on. The second replays it on a fake clock: each policy searches until it
has spent `--runs` whole runs' training FLOPs, pruned work counted. The third compares samplers alone, by
evaluations, on NAS-Bench-Graph, where the largest nine tenths of the networks are over the budget; regret is a share
of the median network's there, each data set under each seed is one pair. The last only tells how fast the replays
of our own policies are, in processor time of the one thread.

A policy's pick is the completed trial with the best value that it has seen. Regret: how far the pick lies behind
the best configuration; on our table by the mean of the two runs of the pick that the sweep has not seen, so that a
lucky run is no merit. Policies are paired by seed: under one seed all meet the same run of a configuration. Anytime
regret is the mean over all budgets from `FIRST` runs on.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import machine, stock_policies
from benchmarks.graph_table import Graphs, budgeted
from benchmarks.replays import ROUNDING, Replay, half_interval, paired_p
from benchmarks.stock_policies import Step
from benchmarks.stored_curves import Cell
from sweeps.analysis.statistics import adjust_p_values
from sweeps.report.format import format_p_value

REPLAY = Replay("search_table", {"vocab_size": 258, "seq_len": 64})
"""A causal text HRM on bytes."""
FIRST = 4
"""Whole runs before anytime regret counts."""
OURS, RANDOM = "ours", "random"
NO_PRUNER = {"pruner": {"name": "none"}}
OWN: dict[str, dict[str, Any]] = {
    OURS: {},
    "ours, no pruner": NO_PRUNER,
    "ours, hyperband": {"pruner": {"name": "hyperband"}},
    "random, same pruner": {"sampler": {"name": "random"}},
    "ours, median pruner": {"pruner": {"name": "median"}},
    RANDOM: NO_PRUNER | {"sampler": {"name": "random"}},
    "ours, min_resource=4": {"pruner": {"name": "successive_halving", "min_resource": 4}},
}
"""Fields of `SweepConfig`; ours is the default."""
WHEN_NAMED = {"ours, min_resource=4"}
"""Policies that are left out unless `--policies` names them."""
STOCK: dict[str, stock_policies.Policy] = {
    "Optuna TPE, median pruner": stock_policies.optuna_tpe_median,
    "Optuna TPE": stock_policies.optuna_tpe,
    "Optuna random": stock_policies.optuna_random,
    "Optuna grid": stock_policies.optuna_grid,
    "Ray OptunaSearch, ASHA": stock_policies.ray_optuna_asha,
}
I_EPOCH = {"i-Epoch, i=1": 1, "i-Epoch, i=2": 2, "i-Epoch, i=5": 5}
"""All for so many of ten reports, then the best to the end (arXiv 2404.04111)."""
GRAPH_SAMPLERS = {OURS: "tpe", RANDOM: "random"}
GRAPH_STOCK = ("Optuna TPE", "Optuna random")
GRAPH_QUANTILE = 0.1

Search = Callable[[int, int], list[Step]]
"""The trials of a policy that may spend so many whole runs, under a seed."""


@dataclass(frozen=True)
class World:
    """What policies are compared on.

    Args:
        searches: the policies.
        regret: of a configuration, under a seed.
        blind: regret of a configuration that was picked without any search.
        by_budget: policies that plan for a budget: they search anew for each.
    """

    searches: Mapping[str, Search]
    regret: Callable[[Any, int], float]
    blind: float
    by_budget: Sequence[str] = ()


class Table:
    """Our own table, as a problem for stock policies."""

    def __init__(self) -> None:
        self.distributions: dict[str, BaseDistribution] = {
            name: one.distribution
            if isinstance(one.grid, range)
            else CategoricalDistribution(list(one.grid or ()))
            for name, one in REPLAY.candidates.space.parameters.items()
        }

    def curve(self, params: Mapping[str, Any], seed: int) -> tuple[Cell, Sequence[float]] | None:
        """See `stock_policies.Problem`."""
        if REPLAY.candidates.candidate(params) is None:
            return None
        cell = REPLAY.table.cell(params)
        num_reports = len(REPLAY.table.runs[cell][0])
        return cell, [REPLAY.get_sort_key(cell, seed, report) for report in range(1, num_reports + 1)]


def own_world() -> World:
    """Our table."""
    stock = {name: partial(_stock, policy, Table()) for name, policy in STOCK.items()}
    epochs = {name: partial(_first_all, reports) for name, reports in I_EPOCH.items()}
    return World(
        searches={name: partial(_replayed, policy) for name, policy in OWN.items()} | stock | epochs,
        regret=REPLAY.regret,
        blind=float(np.median([REPLAY.regret(cell, 0) for cell in REPLAY.table.runs])),
        by_budget=list(epochs),
    )


def graph_world(dataset: str) -> World:
    """A public table."""
    graphs = Graphs(dataset, GRAPH_QUANTILE)
    own = {name: partial(budgeted, graphs, sampler) for name, sampler in GRAPH_SAMPLERS.items()}
    return World(
        searches=own | {name: partial(_stock, STOCK[name], graphs) for name in GRAPH_STOCK},
        regret=lambda cell, seed: graphs.regret(cell) / graphs.blind,
        blind=1.0,
    )


def measure(world: World, name: str, seeds: int, runs: int) -> np.ndarray:
    """Regret of a policy's pick: seeds x budgets, from `FIRST` whole runs to `runs`."""
    budgets = range(FIRST, runs + 1)
    search = world.searches[name]

    def along(seed: int) -> list[float]:
        if name in world.by_budget:
            return [pick_regrets(search(budget, seed), [budget], world, seed)[0] for budget in budgets]
        return pick_regrets(search(runs, seed), budgets, world, seed)

    return np.array([along(seed) for seed in range(seeds)])


def pick_regrets(steps: Sequence[Step], budgets: Sequence[int], world: World, seed: int) -> list[float]:
    """Regret of the pick after each number of whole runs."""
    found: list[float] = []
    at, spent, best, regret = 0, 0.0, float("inf"), world.blind
    for budget in budgets:
        while at < len(steps) and spent + steps[at].runs <= budget + ROUNDING:
            spent += steps[at].runs
            value = steps[at].value
            if value is not None and value < best:
                best, regret = value, world.regret(steps[at].cell, seed)
            at += 1
        found.append(regret)
    return found


def rows(found: Mapping[str, np.ndarray]) -> list[str]:
    """Markdown, best anytime regret first; differences to `OURS` are paired by seed, p is Holm-corrected."""
    runs = FIRST + found[OURS].shape[1] - 1
    shown = sorted({max(FIRST, runs // 4), max(FIRST, runs // 2), runs})
    target = found[RANDOM].mean(axis=0)[-1]
    gaps = {name: (one - found[OURS]).mean(axis=1) for name, one in found.items() if name != OURS}
    corrected = dict(zip(gaps, adjust_p_values([paired_p(gap) for gap in gaps.values()]), strict=True))
    lines = [
        f"| policy | {' | '.join(f'after {budget} runs' for budget in shown)} | anytime | minus ours | p "
        f"| runs to {RANDOM}'s last |",
        "|---" * (len(shown) + 5) + "|",
    ]
    for name, one in sorted(found.items(), key=lambda item: item[1].mean()):
        at = [_spread(one[:, budget - FIRST]) for budget in shown]
        reached = np.flatnonzero(one.mean(axis=0) <= target)
        gap = "–" if name == OURS else f"{gaps[name].mean():+.4f} ± {half_interval(gaps[name]):.4f}"
        p = "–" if name == OURS else format_p_value(corrected[name])
        lines.append(
            f"| {name} | {' | '.join(at)} | {_spread(one.mean(axis=1))} | {gap} | {p} "
            f"| {FIRST + reached[0] if len(reached) else f'more than {runs}'} |"
        )
    return lines


def speeds(seeds: int, runs: int) -> list[str]:
    """Markdown: trials a minute that the simulator takes our own policies through."""
    assert REPLAY.table.runs, "read before the clock starts"
    lines = ["| policy | trials | seconds | trials a minute |", "|---|---|---|---|"]
    for name, policy in OWN.items():
        start = time.process_time()
        trials = sum(len(_replayed(policy, runs, seed)) for seed in range(seeds))
        seconds = time.process_time() - start
        lines.append(f"| {name} | {trials:,} | {seconds:.1f} | {60 * trials / seconds:,.0f} |")
    return lines


def draw(found: Mapping[str, np.ndarray], path: Path) -> None:
    """Mean regret of each policy over the compute, with the interval of ours and of random search."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    from sweeps.report.charts.chart import ARM_COLOURS, COLOURS, DPI

    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for place, (name, one) in enumerate(found.items()):
        budgets = FIRST + np.arange(one.shape[1])
        colour = COLOURS[ARM_COLOURS[place % len(ARM_COLOURS)]]
        style = ("-", "--", ":")[place // len(ARM_COLOURS) % 3]
        axes.plot(budgets, one.mean(axis=0), style, color=colour, label=name)
        if name in (OURS, RANDOM):
            half = np.array([half_interval(column) for column in one.T])
            axes.fill_between(
                budgets, one.mean(axis=0) - half, one.mean(axis=0) + half, color=colour, alpha=0.15
            )
    axes.set_xlabel("training compute (whole runs)")
    axes.set_ylabel("regret (mean; 95% interval of ours and random)")
    axes.legend(frameon=False, ncols=2, fontsize=8)
    axes.grid(color=COLOURS["light"])
    figure.savefig(path, dpi=DPI)


def _replayed(policy: Mapping[str, Any], runs: int, seed: int) -> list[Step]:
    """The real plan, study and pruners, on the fake clock."""
    plan = REPLAY.simulate(policy, runs, seed)
    steps = []
    for trial in plan.state.trials.values():
        cell = REPLAY.table.cell(trial.job.params)
        value = REPLAY.get_sort_key(cell, seed) if trial.is_completed else None
        steps.append(Step(cell, len(trial.validations) / trial.job.run.train.num_reports, value))
    return steps


def _stock(
    policy: stock_policies.Policy, problem: stock_policies.Problem, runs: int, seed: int
) -> list[Step]:
    return policy(problem, runs, seed)


def _first_all(reports: int, runs: int, seed: int) -> list[Step]:
    """The i-Epoch baseline: what goes on costs the rest of its run."""
    order = np.random.default_rng(seed).permutation(len(REPLAY.table.runs))
    cells = list(REPLAY.table.runs)
    tried, best = REPLAY.first_all([cells[place] for place in order], reports, runs, seed)
    head = reports / len(REPLAY.table.runs[tried[0]][0])
    heads = [Step(cell, head, None) for cell in tried]
    return heads + [Step(cell, 1 - head, REPLAY.get_sort_key(cell, seed)) for cell in best]


def _spread(values: np.ndarray) -> str:
    return f"{values.mean():.4f} ± {half_interval(values):.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--runs", type=int, default=32)
    parser.add_argument("--graphs", nargs="+", metavar="DATASET", help="NAS-Bench-Graph instead of our table")
    parser.add_argument("--policies", nargs="+", help="only these, beside ours and random search")
    parser.add_argument("--speed", action="store_true", help="only tell how fast the replays are")
    parser.add_argument("--figure", type=Path)
    parser.add_argument(
        "--make", type=Path, metavar="FOLDER", help="make the table by a sweep there, or go on"
    )
    given = parser.parse_args()
    if given.make:
        REPLAY.make(given.make.absolute())
        return
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if given.speed:
        print(f"{machine.describe()}, {given.seeds} seeds, {given.runs} whole runs\n")
        print(*speeds(given.seeds, given.runs), sep="\n")
        return
    worlds = [graph_world(dataset) for dataset in given.graphs or ()] or [own_world()]
    if unknown := {*(given.policies or ())} - worlds[0].searches.keys():
        parser.error(f"no policy {', '.join(unknown)}; there are: {'; '.join(worlds[0].searches)}")
    asked = {*given.policies, OURS, RANDOM} if given.policies else worlds[0].searches.keys() - WHEN_NAMED
    names = [name for name in worlds[0].searches if name in asked]
    found = {
        name: np.concatenate([measure(world, name, given.seeds, given.runs) for world in worlds])
        for name in names
    }
    print(f"{given.seeds} seeds, {given.runs} whole runs\n")
    print(*rows(found), sep="\n")
    if given.figure:
        draw(found, given.figure)


if __name__ == "__main__":
    main()
