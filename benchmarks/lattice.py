"""How long the largest lattice takes that a sweep enumerates: `python benchmarks/lattice.py`.

Nearly ten million shapes of a puzzle HRM, all judged against one million parameters: which fit, which are one model.
Then what each suggestion costs among them: a uniform draw, and the nearest feasible point to an infeasible one.
Prints the seconds of one thread's CPU time and the most memory that the process held.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from sweeps.config import BudgetConfig, SweepConfig
from sweeps.space.candidates import Candidates

MODEL_FIELDS = {"vocab_size": 11, "seq_len": 36, "num_puzzle_identifiers": 1}
SPACE: dict[str, Any] = {
    "name": "lattice",
    "question": "Which of ten million shapes?",
    "parameters": {
        "H_layers": {"int": [1, 16]},
        "L_layers": {"int": [1, 16]},
        "H_cycles": {"int": [1, 8]},
        "L_cycles": {"int": [1, 8]},
        "hidden_size": {"int": [16, 608], "step": 16},
        "expansion": [2, 3, 4, 5],
        "h_update_period": {"int": [1, 4]},
    },
    "fixed": {"num_heads": 1},
}
SUGGESTIONS = 20


def main() -> None:
    start = time.process_time()
    candidates = Candidates(SweepConfig(space=SPACE, budget=BudgetConfig(max_params="1M")), MODEL_FIELDS)
    seconds = time.process_time() - start
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{candidates.num_tuples:,} points in {seconds:.1f} s, {held:.0f} MiB held: "
        f"{candidates.num_architectures:,} architectures, {candidates.num_feasible_architectures:,} within the budget"
    )
    draws, snaps = [], []
    for seed in range(SUGGESTIONS):
        rng = np.random.default_rng(seed)
        start = time.process_time()
        drawn = candidates.sample(rng)
        draws.append(time.process_time() - start)
        assert drawn is not None
        start = time.process_time()
        candidates.nearest({**drawn.params, "H_layers": 16, "hidden_size": 608}, rng, {drawn.key})
        snaps.append(time.process_time() - start)
    print(
        f"a draw {1e3 * statistics.median(draws):.1f} ms, a snap {1e3 * statistics.median(snaps):.1f} ms (medians)"
    )


if __name__ == "__main__":
    main()
