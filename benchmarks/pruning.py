"""Which pruner finds the best configuration for its compute, and which one stops it on the way?

    python benchmarks/pruning.py --make outputs/pruning-table
    python benchmarks/pruning.py [--seeds 20] [--budgets 6 12] [--figure docs/images/pruning.png]

The first makes `pruning_table.parquet` beside this file: every configuration of a small space, trained to its end
on three seeds. Killed, the same command goes on. The second replays these curves through the
real plan, study and pruners on a fake clock. Each policy searches at random, in the same order under the same seed,
until its training FLOPs are spent (`stop.flops`, in whole runs). Its pick is the completed trial with the best last
report. Regret: how far the pick's other two runs lie on average below the best configuration's mean; so a lucky run
is no merit. `lost`: how often the trial that would have ended best of all that were started was pruned. Two baselines
without a pruner train all for k tenths of a run, then only the best to the end. No process is started: the figures
do not depend on the machine.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.replays import Replay, half_interval, paired_p
from benchmarks.stored_curves import Cell
from sweeps.analysis.statistics import adjust_p_values

REPLAY = Replay("pruning_table", {"vocab_size": 11, "seq_len": 36, "num_puzzle_identifiers": 1})
"""Sudoku 6x6."""
REFERENCE = "hyperband"
POLICIES: dict[str, dict[str, Any]] = {
    "none": {"pruner": {"name": "none"}},
    REFERENCE: {"pruner": {"name": "hyperband"}},
    "hyperband, min_resource=4": {"pruner": {"name": "hyperband", "min_resource": 4}},
    "patient (hyperband)": {"pruner": {"name": "patient"}},
    "successive_halving": {"pruner": {"name": "successive_halving"}},
    "successive_halving, min_resource=4": {"pruner": {"name": "successive_halving", "min_resource": 4}},
    "median": {"pruner": {"name": "median"}},
    "percentile": {"pruner": {"name": "percentile"}},
}
FIRST_ALL = {"all for 2 tenths, then the best": 2, "all for 5 tenths, then the best": 5}
"""Reports after which only the best go on."""


@dataclass(frozen=True)
class Run:
    """What one policy did under one seed."""

    regret: float
    started: int
    completed: int
    flops: float
    """In whole runs."""
    lost: bool


def replay(policy: Mapping[str, Any], budget: float, seed: int) -> Run:
    """One sweep."""
    plan = REPLAY.simulate({**policy, "sampler": {"name": "random"}}, budget, seed)
    trials = plan.state.trials.values()
    cells = {trial.number: REPLAY.table.cell(trial.job.params) for trial in trials}
    done = [cells[trial.number] for trial in trials if trial.is_completed]
    ended = [trial.ended for trial in trials if trial.ended and trial.is_pruned]
    pruned = [cells[event.number] for event in ended if event.error is None]
    spent = sum(trial.train_flops for trial in trials)
    return judge(seed, list(cells.values()), done, pruned, spent / REPLAY.table.run_flops)


def first_all(order: Sequence[Cell], reports: int, budget: float, seed: int) -> Run:
    """The trivial baseline under one seed."""
    tried, best = REPLAY.first_all(order, reports, budget, seed)
    head = reports / len(REPLAY.table.runs[order[0]][0])
    spent = len(tried) * head + len(best) * (1 - head)
    return judge(seed, tried, best, [one for one in tried if one not in best], spent)


def judge(
    seed: int, started: Sequence[Cell], done: Sequence[Cell], pruned: Sequence[Cell], flops: float
) -> Run:
    """What a policy's trials were worth."""
    pick = min(done, key=lambda one: REPLAY.get_sort_key(one, seed))
    best_started = min(started, key=lambda one: REPLAY.get_sort_key(one, seed))
    return Run(
        regret=REPLAY.regret(pick, seed),
        started=len(started),
        completed=len(done),
        flops=flops,
        lost=best_started in pruned,
    )


def measure(budget: float, seeds: int) -> dict[str, list[Run]]:
    """Every policy under every seed."""
    found = {
        name: [replay(policy, budget, seed) for seed in range(seeds)] for name, policy in POLICIES.items()
    }
    orders = [REPLAY.order(seed) for seed in range(seeds)]
    return found | {
        name: [first_all(orders[seed], reports, budget, seed) for seed in range(seeds)]
        for name, reports in FIRST_ALL.items()
    }


def rows(found: Mapping[str, Sequence[Run]]) -> list[str]:
    """Markdown, best first; differences to `REFERENCE` are paired by seed, their p-values Holm-corrected."""
    plain = [run.regret for run in found[REFERENCE]]
    gaps = {name: np.subtract([run.regret for run in runs], plain) for name, runs in found.items()}
    others = [name for name in found if name != REFERENCE]
    corrected = dict(zip(others, adjust_p_values([paired_p(gaps[name]) for name in others]), strict=True))
    lines = []
    for name, runs in sorted(found.items(), key=lambda item: fmean(run.regret for run in item[1])):
        regrets = [run.regret for run in runs]
        against = "–" if name == REFERENCE else f"{gaps[name].mean():+.4f} ± {half_interval(gaps[name]):.4f}"
        p = "–" if name == REFERENCE else f"{corrected[name]:.3f}"
        lines.append(
            f"| {name} | {fmean(regrets):.4f} ± {half_interval(regrets):.4f} | {against} | {p} "
            f"| {fmean(run.started for run in runs):.1f} | {fmean(run.completed for run in runs):.1f} "
            f"| {fmean(run.flops for run in runs):.1f} | {fmean(run.lost for run in runs):.0%} |"
        )
    return lines


def draw(results: Mapping[float, Mapping[str, Sequence[Run]]], path: Path) -> None:
    """Mean regret of each policy at each budget, with its interval."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    from sweeps.report.charts.chart import ARM_COLOURS, COLOURS, DPI

    names = sorted(
        POLICIES | FIRST_ALL,
        key=lambda name: -sum(fmean(r.regret for r in found[name]) for found in results.values()),
    )
    figure, axes = plt.subplots(figsize=(8, 0.32 * len(names) + 1.2), layout="constrained")
    for place, (budget, found) in enumerate(results.items()):
        regrets = [[run.regret for run in found[name]] for name in names]
        heights = np.arange(len(names)) + 0.22 * (place - (len(results) - 1) / 2)
        axes.errorbar(
            [fmean(one) for one in regrets], heights, xerr=[half_interval(one) for one in regrets], fmt="o",
            color=COLOURS[ARM_COLOURS[place]], label=f"{budget:g} whole runs", markersize=4,
        )  # fmt: skip
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("regret in blank accuracy (mean, 95% interval)")
    axes.legend(title="training FLOPs", frameon=False)
    axes.grid(axis="x", color=COLOURS["light"])
    figure.savefig(path, dpi=DPI)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--budgets", type=float, nargs="+", default=[6, 12])
    parser.add_argument("--figure", type=Path)
    parser.add_argument(
        "--make", type=Path, metavar="FOLDER", help="make the table by a sweep there, or go on"
    )
    given = parser.parse_args()
    if given.make:
        REPLAY.make(given.make.absolute())
        return
    results = {}
    for budget in given.budgets:
        results[budget] = measure(budget, given.seeds)
        print(f"\nTraining FLOPs of {budget:g} whole runs, {given.seeds} seeds\n")
        print("| policy | regret | against hyperband | p | started | completed | runs spent | lost |")
        print("|---|---|---|---|---|---|---|---|")
        print(*rows(results[budget]), sep="\n", flush=True)
    if given.figure:
        draw(results, given.figure)


if __name__ == "__main__":
    main()
