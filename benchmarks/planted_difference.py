"""Is a planted difference found, and are identical arms not called different? On real training runs.

    python benchmarks/planted_difference.py --seeds 5

Trains the Tiny Demo preset by the default run's rules on twice as many seeds, and again for a share of the
steps only: a difference of known sign. Prints the verdict's own test between two arms of identical runs (and
how many of all ways to halve those runs it would have called significant), and between full and shortened runs.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import multiprocessing
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from hrm.config.presets import load_preset
from hrm.config.run_config import RunConfig
from hrm.data.registry import open_task
from hrm.training.trainer import Trainer
from sweeps.analysis.statistics import (
    ALPHA,
    TEST_NAME,
    compute_detectable_difference,
    compute_difference,
    estimate,
)
from sweeps.space.space import load_space

METRICS = ("exact_accuracy", "blank_accuracy")


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="of an arm")
    parser.add_argument("--steps", type=int, help="of a full run; the default run's own unless given")
    parser.add_argument("--share", type=float, default=0.5, help="of the steps, in the planted arm")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    full = default_run()
    if options.steps:
        full = full.replace(**{"train.steps": options.steps})
    planted = full.replace(**{"train.steps": round(options.share * full.train.steps)})
    n = options.seeds
    jobs = [*with_seeds(full, range(500, 500 + 2 * n)), *with_seeds(planted, range(500 + 2 * n, 500 + 3 * n))]
    open_task(full.task)
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        scores = pool.map(score, jobs, chunksize=1)
    print(f"{TEST_NAME}; n = {n} an arm; tiny_demo, {full.train.steps} steps, {full.task.name}, test split")
    print(
        "| metric | arms | means | difference | p | detectable at 80% power | significant |\n"
        "|---|---|---|---|---|---|---|"
    )
    resolution = 1 / full.task.test_puzzles
    for metric in METRICS:
        values = [row[metric] for row in scores]
        alike, other, shorter = values[:n], values[n : 2 * n], values[2 * n :]
        print(line(metric, "identical", alike, other, resolution))
        print(line(metric, f"full against {options.share:.0%} of the steps", alike, shorter, resolution))
        apart = [told_apart(*halves, resolution) for halves in halvings(values[: 2 * n])]
        print(
            f"| {metric} | all {len(apart)} halvings of the identical runs | | | | | {np.mean(apart):.1%} |"
        )


def default_run() -> RunConfig:
    """Tiny Demo under the rules of `depth_vs_width`."""
    run: dict[str, Any] = load_space("depth_vs_width")["run"]
    train = {name: value for name, value in run["train"].items() if name != "equal"} | {"lr": 1e-3}
    model = load_preset("tiny_demo").model | run["model"]
    return RunConfig.from_dict({"model": model, "task": run["task"], "train": train, "threads": 1})


def with_seeds(run: RunConfig, seeds: Sequence[int]) -> list[RunConfig]:
    return [dataclasses.replace(run, seed=seed) for seed in seeds]


def score(run: RunConfig) -> dict[str, float]:
    """The test metrics at the end of a run."""
    dataset = open_task(run.task)
    trainer = Trainer(run, dataset)
    trainer.train_to(run.train.steps)
    metrics = trainer.evaluate(dataset.test)
    return {name: value for name, value in metrics.items() if value is not None}


def halvings(values: Sequence[float]) -> list[tuple[list[float], list[float]]]:
    """Every way to split the runs into two equal arms, each pair once."""
    numbers = range(1, len(values))
    return [
        (
            [values[0], *(values[i] for i in chosen)],
            [values[i] for i in numbers if i not in chosen],
        )
        for chosen in itertools.combinations(numbers, len(values) // 2 - 1)
    ]


def told_apart(a: Sequence[float], b: Sequence[float], resolution: float) -> bool:
    found = compute_difference(a, b, resolution)
    return found is not None and found.p_value < ALPHA


def line(metric: str, arms: str, a: Sequence[float], b: Sequence[float], resolution: float) -> str:
    found = compute_difference(a, b, resolution)
    assert found is not None, "two runs or more"
    means = f"{np.mean(a):.3f}, {np.mean(b):.3f}"
    verdict = "yes" if found.p_value < ALPHA else "no"
    difference = f"{found.mean:+.3f} ± {found.half_width:.3f}"
    spread_a, spread_b = estimate(a, resolution), estimate(b, resolution)
    assert spread_a is not None and spread_b is not None
    detectable = compute_detectable_difference(spread_a, spread_b, 1)
    cells = [metric, arms, means, difference, f"{found.p_value:.2g}", f"{detectable:.3f}", verdict]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main(sys.argv[1:])
