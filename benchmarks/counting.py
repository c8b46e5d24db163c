"""How fast configurations are counted: `python benchmarks/counting.py`.

Prints the microseconds to construct and to count one configuration, then the seconds to enumerate a space of
nearly the largest size that is enumerated, and the milliseconds of a uniform draw from it and of the nearest
feasible point to an infeasible one. One thread's CPU time, medians.
"""

from __future__ import annotations

import dataclasses
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.puzzle.counting import count
from sweeps.config import BudgetConfig, SweepConfig
from sweeps.space.candidates import Candidates

NUM_CONFIGS = 10_000
REPEATS = 5
SUGGESTIONS = 20
MODEL_FIELDS = {"vocab_size": 11, "seq_len": 36, "num_puzzle_identifiers": 1}
SPACE: dict[str, Any] = {
    "name": "large",
    "question": "Which of 98,304 shapes?",
    "parameters": {
        "H_layers": {"int": [1, 8]},
        "L_layers": {"int": [1, 8]},
        "H_cycles": {"int": [1, 4]},
        "L_cycles": {"int": [1, 4]},
        "hidden_size": {"int": [16, 384], "step": 16},
        "expansion": [2, 3, 4, 5],
    },
    "fixed": {"num_heads": 1},
}


def measure_seconds(run: Callable[[], object], repeats: int = REPEATS) -> float:
    """Return the median CPU time that `run` takes."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)


def main() -> None:
    machine = platform.processor() or platform.machine()
    print(f"{machine}, Python {platform.python_version()}, numpy {np.__version__}")
    config = PuzzleHRMConfig()
    fields = dataclasses.asdict(config)
    for name, run in (
        ("construct", lambda: [PuzzleHRMConfig(**fields) for _ in range(NUM_CONFIGS)]),
        ("count", lambda: [count(config, 32) for _ in range(NUM_CONFIGS)]),
    ):
        print(f"{name}: {1e6 * measure_seconds(run) / NUM_CONFIGS:.1f} microseconds")
    sweep = SweepConfig(space=SPACE, budget=BudgetConfig(max_params="1M"))
    seconds = measure_seconds(lambda: Candidates(sweep, MODEL_FIELDS))
    candidates = Candidates(sweep, MODEL_FIELDS)
    print(
        f"{candidates.num_tuples:,} points in {seconds:.1f} s: {candidates.num_architectures:,} architectures, "
        f"{candidates.num_feasible_architectures:,} within the budget"
    )
    rng = np.random.default_rng(0)
    drawn = [candidates.sample(rng) for _ in range(SUGGESTIONS)]
    draw = measure_seconds(lambda: candidates.sample(rng), SUGGESTIONS)
    outside = [{**one.params, "H_layers": 8, "hidden_size": 384} for one in drawn if one is not None]
    snaps = [measure_seconds(lambda: candidates.nearest(params, rng), 1) for params in outside]  # noqa: B023
    print(f"a draw {1e3 * draw:.1f} ms, the nearest feasible point {1e3 * statistics.median(snaps):.1f} ms")


if __name__ == "__main__":
    main()
