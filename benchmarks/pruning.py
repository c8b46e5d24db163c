"""Which pruner finds the best configuration for its compute, and which one stops it on the way?

    python run_sweep.py space=benchmarks/pruning_table.yaml out=outputs/pruning-table
    python benchmarks/pruning.py --pack outputs/pruning-table
    python benchmarks/pruning.py [--seeds 20] [--budgets 6 12] [--figure docs/images/pruning.png]

The first two make `pruning_table.parquet` beside this file: every configuration of a small space, trained to its end
on three seeds. Killed, it goes on with `resume=outputs/pruning-table`. The third replays these curves through the
real plan, study and pruners on a fake clock. Each policy searches at random, in the same order under the same seed,
until its training FLOPs are spent (`stop.flops`, in whole runs). Its pick is the completed trial with the best last
report. Regret: how far the pick's other two runs lie on average below the best configuration's mean; so a lucky run
is no merit. `lost`: how often the trial that would have ended best of all that were started was pruned. Two baselines
without a pruner train all for k tenths of a run, then only the best to the end. No process is started: the figures
do not depend on the machine.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from scipy import stats

from sweeps.config import (
    BaselineConfig,
    BudgetConfig,
    ConfirmConfig,
    PruningConfig,
    StopConfig,
    SweepConfig,
    SweepTrainConfig,
)
from sweeps.results.schema import PARAMETER_PREFIX
from sweeps.results.tables import read_curves, read_trials
from sweeps.search.dispatch import Dispatcher
from sweeps.search.plan import Plan
from sweeps.search.simulator import Simulator
from sweeps.search.stored_curves import SPENT, Cell, StoredCurves
from sweeps.space.candidates import Candidates
from sweeps.space.space import load_space
from sweeps.verdict.statistics import holm

HERE = Path(__file__).parent
TABLE = HERE / "pruning_table.parquet"
SPACE = load_space(str(HERE / "pruning_table.yaml"))
SEARCHED = list(SPACE["parameters"])
MODEL_FIELDS = {"vocab_size": 11, "seq_len": 36, "num_puzzle_identifiers": 1}
"""Of Sudoku 6x6."""
METRIC = "valid/blank_accuracy"
REFERENCE = "hyperband"
POLICIES: dict[str, dict[str, Any]] = {
    "none": {"pruner": {"name": "none"}},
    REFERENCE: {"pruner": {"name": "hyperband"}},
    "hyperband, fidelity=steps": {"pruning": PruningConfig(fidelity="steps")},
    "hyperband, within=depth": {"pruning": PruningConfig(within="depth")},
    "hyperband, min_resource=4": {"pruner": {"name": "hyperband", "min_resource": 4}},
    "patient (hyperband)": {"pruner": {"name": "patient"}},
    "successive_halving": {"pruner": {"name": "successive_halving"}},
    "successive_halving, min_resource=4": {"pruner": {"name": "successive_halving", "min_resource": 4}},
    "median": {"pruner": {"name": "median"}},
    "median, within=depth": {"pruner": {"name": "median"}, "pruning": PruningConfig(within="depth")},
    "median, fidelity=steps": {"pruner": {"name": "median"}, "pruning": PruningConfig(fidelity="steps")},
    "percentile": {"pruner": {"name": "percentile"}},
    "extrapolation": {"pruner": {"name": "extrapolation"}},
}
FIRST_ALL = {"all for 2 tenths, then the best": 2, "all for 5 tenths, then the best": 5}
"""Reports after which only the best go on."""
ROUNDING = 1e-9


@dataclass(frozen=True)
class Run:
    """What one policy did under one seed."""

    regret: float
    started: int
    completed: int
    flops: float
    """In whole runs."""
    lost: bool


def pack(out: Path) -> None:
    """Writes the curves of the sweep in a folder as one small table."""
    trials = read_trials(out).select(["number", "seed", *(f"{PARAMETER_PREFIX}{name}" for name in SEARCHED)])
    curves = read_curves(out)
    metrics = [name for name in curves.column_names if name.startswith("valid/")]
    joined = (
        curves.select(["number", *SPENT, *metrics])
        .join(trials, "number")
        .sort_by([("number", "ascending"), ("index", "ascending")])
    )
    names = [name.removeprefix(PARAMETER_PREFIX) for name in joined.column_names]
    pq.write_table(joined.rename_columns(names).drop_columns("number"), TABLE, compression="zstd")


def stored() -> StoredCurves:
    """The table that comes along."""
    return StoredCurves(TABLE, SEARCHED)


def sweep_config(**overrides: Any) -> SweepConfig:
    """A sweep of the table's space, as its file has it."""
    run = SPACE["run"]
    values: dict[str, Any] = {
        "space": {name: value for name, value in SPACE.items() if name != "run"},
        "task": run["task"],
        "model": run["model"],
        "train": SweepTrainConfig(**run["train"]),
        "budget": BudgetConfig(**run["budget"]),
        "objective": METRIC,
    }
    return SweepConfig(**values | overrides)


def replay(
    table: StoredCurves, space: Candidates, policy: Mapping[str, Any], budget: float, seed: int
) -> Run:
    """One sweep."""
    plan = simulate(table, space, policy, budget, seed)
    cells = {number: table.cell(job.params) for number, job in plan.jobs.items()}
    outcomes = plan.outcomes.items()
    done = [cells[number] for number, outcome in outcomes if outcome.status == "completed"]
    pruned = [cells[number] for number, one in outcomes if one.status == "pruned" and one.error is None]
    spent = sum(outcome.reports[-1].train_flops for _, outcome in outcomes if outcome.reports)
    return judge(table, seed, list(cells.values()), done, pruned, spent)


def simulate(
    table: StoredCurves, space: Candidates, policy: Mapping[str, Any], budget: float, seed: int
) -> Plan:
    """A sweep of a policy, run to its end."""
    config = sweep_config(
        **policy,
        sampler={"name": "random"},
        num_trials=len(table.runs),
        baseline=BaselineConfig(presets=[]),
        confirm=ConfirmConfig(finalists=0),
        stop=StopConfig(flops=int(budget * table.run_flops)),
        seed=seed,
    )
    plan = Plan(config, space, None, slots=1)
    Simulator(Dispatcher(plan, []), table.train(seed), slots=1).run()
    return plan


def first_all(table: StoredCurves, order: Sequence[Cell], reports: int, budget: float, seed: int) -> Run:
    """The trivial baseline: all that the budget allows for so many reports, then the best of them to the end."""
    head = reports / len(table.runs[order[0]][0])
    num = min(len(order), int((budget - (1 - head)) / head + ROUNDING))
    go_on = int((budget - num * head) / (1 - head) + ROUNDING)
    tried = order[:num]
    best = sorted(tried, key=lambda one: -value(table, one, seed, reports))[:go_on]
    spent = (num * head + len(best) * (1 - head)) * table.run_flops
    return judge(table, seed, tried, best, [one for one in tried if one not in best], spent)


def order_of(table: StoredCurves, space: Candidates, seed: int) -> list[Cell]:
    """In which order a search of that seed comes to all configurations."""
    everything = simulate(table, space, POLICIES["none"], len(table.runs), seed)
    return [table.cell(job.params) for job in everything.jobs.values()]


def judge(
    table: StoredCurves,
    seed: int,
    started: Sequence[Cell],
    done: Sequence[Cell],
    pruned: Sequence[Cell],
    spent: float,
) -> Run:
    """What a policy's trials were worth."""
    best_mean = max(table.mean_end(one, METRIC) for one in table.runs)
    pick = max(done, key=lambda one: value(table, one, seed))
    best_started = max(started, key=lambda one: value(table, one, seed))
    return Run(
        regret=best_mean - table.mean_end(pick, METRIC, without=table.met(pick, seed)),
        started=len(started),
        completed=len(done),
        flops=spent / table.run_flops,
        lost=best_started in pruned,
    )


def value(table: StoredCurves, one: Cell, seed: int, report: int = 0) -> float:
    """What a sweep of that seed sees of a configuration at a report, counted from 1; 0 is the last."""
    seen = table.runs[one][table.met(one, seed)][report - 1].metrics[METRIC]
    assert seen is not None
    return seen


def measure(table: StoredCurves, budget: float, seeds: int) -> dict[str, list[Run]]:
    """Every policy under every seed."""
    space = Candidates(sweep_config(), MODEL_FIELDS)
    found = {
        name: [replay(table, space, policy, budget, seed) for seed in range(seeds)]
        for name, policy in POLICIES.items()
    }
    orders = [order_of(table, space, seed) for seed in range(seeds)]
    return found | {
        name: [first_all(table, orders[seed], reports, budget, seed) for seed in range(seeds)]
        for name, reports in FIRST_ALL.items()
    }


def half_interval(values: Sequence[float] | np.ndarray) -> float:
    """Half of a 95% interval of the mean (Student's t)."""
    return float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))


def rows(found: Mapping[str, Sequence[Run]]) -> list[str]:
    """Markdown, best first; differences to `REFERENCE` are paired by seed, their p-values Holm-corrected."""
    plain = [run.regret for run in found[REFERENCE]]
    gaps = {name: np.subtract([run.regret for run in runs], plain) for name, runs in found.items()}
    others = [name for name in found if name != REFERENCE]
    p_values = [
        float(stats.ttest_1samp(gaps[name], 0.0).pvalue) if gaps[name].any() else 1.0 for name in others
    ]
    corrected = dict(zip(others, holm(p_values), strict=True))
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

    from sweeps.report.style import ARM_COLOURS, COLOURS, DPI

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
    parser.add_argument("--pack", type=Path, metavar="OUTPUT_FOLDER", help="write the table of that sweep")
    given = parser.parse_args()
    if given.pack:
        pack(given.pack)
        return
    table, results = stored(), {}
    for budget in given.budgets:
        results[budget] = measure(table, budget, given.seeds)
        print(f"\nTraining FLOPs of {budget:g} whole runs, {given.seeds} seeds\n")
        print("| policy | regret | against hyperband | p | started | completed | runs spent | lost |")
        print("|---|---|---|---|---|---|---|---|")
        print(*rows(results[budget]), sep="\n", flush=True)
    if given.figure:
        draw(results, given.figure)


if __name__ == "__main__":
    main()
