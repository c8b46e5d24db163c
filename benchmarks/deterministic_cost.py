"""The cost of `deterministic=true`: whole sweeps on a fake clock, against free ones with the same workers.

    python benchmarks/deterministic_cost.py [--worlds 20] [--num-trials 16]

Learning curves are synthetic, each of `--worlds` with another best configuration; a job takes 0.9 to 1.1, or
0.5 to 2 times its ten seconds, at random. No process is started: the figures do not depend on the machine.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path
from statistics import fmean

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.simulator import Simulator
from benchmarks.synthetic_curves import SyntheticCurves
from sweeps.config import BudgetConfig, SweepConfig
from sweeps.events import Job
from sweeps.scheduler.scheduler import Scheduler
from sweeps.scheduler.trial_runner import TrialRunner
from sweeps.space.candidates import Candidates
from sweeps.space.space import load_space

MODEL_FIELDS = {"vocab_size": 11, "seq_len": 36, "num_puzzle_identifiers": 1}
SPREADS = ((0.9, 1.1), (0.5, 2.0))


def measure(
    candidates: Candidates, config: SweepConfig, slots: int, spread: tuple[float, float]
) -> tuple[float, float, float]:
    """Return wall and busy seconds of one sweep, and the ceiling of the configuration that it would pick."""

    def draw_slowness(job: Job, index: int) -> float:
        return random.Random(f"{config.seed} {job.number}").uniform(*spread)

    curves = SyntheticCurves(config.seed)
    scheduler = Scheduler(config, candidates, None, slots)
    simulation = Simulator(TrialRunner(scheduler), curves, slots, draw_slowness).run()
    return (
        simulation.wall_seconds,
        simulation.busy_seconds,
        curves.compute_ceiling(scheduler.finalists[0].job),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--num-trials", type=int, default=16)
    given = parser.parse_args()
    common = {
        "space": load_space("depth_vs_width"),
        "task": {"name": "sudoku6"},
        "budget": BudgetConfig(max_params="tiny_demo", min_params=0.8),
        "num_trials": given.num_trials,
    }
    candidates = Candidates(SweepConfig(**common), MODEL_FIELDS)
    print("Wall and work as multiples of the free sweep's; ceiling: accuracy that the pick could reach.\n")
    print("| slots | slowness | wall | work | efficiency | free efficiency | ceiling | free ceiling |")
    print("|---|---|---|---|---|---|---|---|")
    for slots in (2, 4):
        for spread in SPREADS:
            rows = [
                [
                    measure(candidates, SweepConfig(**common, seed=world, deterministic=mode), slots, spread)
                    for world in range(given.worlds)
                ]
                for mode in (True, False)
            ]
            (wall, busy, compute_ceiling), (free_wall, free_busy, free_ceiling) = (
                [fmean(column) for column in zip(*mode)] for mode in rows
            )
            print(
                f"| {slots} | {spread[0]} to {spread[1]} | {wall / free_wall:.3f} | {busy / free_busy:.3f} "
                f"| {busy / wall / slots:.3f} | {free_busy / free_wall / slots:.3f} "
                f"| {compute_ceiling:.3f} | {free_ceiling:.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
