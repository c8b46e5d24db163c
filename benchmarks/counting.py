"""How fast counting is: `python benchmarks/counting.py`.

Prints configs a second of `count_arrays`, over a million random configs of which nine fields (a search's) or
all integer fields are arrays, and microseconds of one `count`. One thread; the median of five runs.
"""

from __future__ import annotations

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
from hrm.models.puzzle.counting import count, count_arrays

NUM_CONFIGS = 1_000_000
NUM_SCALARS = 10_000
BATCH_SIZE = 32
REPEATS = 5


def random_fields(num_configs: int, every: bool) -> dict[str, Any]:
    """Columns of random configs; `every` adds the fields that a task and the training decide."""
    random = np.random.default_rng(0)

    def integers(low: int, high: int) -> np.ndarray:
        return random.integers(low, high + 1, num_configs)

    fields: dict[str, Any] = {
        "hidden_size": 16 * integers(1, 64),
        "num_heads": integers(1, 8),
        "H_layers": integers(1, 8),
        "L_layers": integers(1, 8),
        "H_cycles": integers(1, 4),
        "L_cycles": integers(1, 4),
        "h_update_period": integers(1, 8),
        "expansion": random.uniform(1, 4, num_configs),
        "mlp_multiple": random.choice([32, 256], num_configs),
    }
    if every:
        fields |= {
            "puzzle_emb_ndim": integers(0, 1024),
            "gradient_L_steps": integers(1, 4),
            "halt_max_steps": integers(1, 16),
            "q_continue": integers(0, 1).astype(bool),
            "vocab_size": integers(2, 20),
            "seq_len": integers(16, 900),
            "num_puzzle_identifiers": integers(1, 1000),
        }
    return fields


def median_seconds(run: Callable[[], object]) -> float:
    """The median of the time that `run` takes."""
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def main() -> None:
    machine = platform.processor() or platform.machine()
    print(f"{machine}, Python {platform.python_version()}, numpy {np.__version__}")
    for every in (False, True):
        fields = random_fields(NUM_CONFIGS, every)
        seconds = median_seconds(lambda: count_arrays(fields, BATCH_SIZE))  # noqa: B023
        millions = NUM_CONFIGS / seconds / 1e6
        print(f"count_arrays, {len(fields):2} fields as arrays: {millions:.2f} million configs/s")
    config = PuzzleHRMConfig()
    seconds = median_seconds(lambda: [count(config, BATCH_SIZE) for _ in range(NUM_SCALARS)])
    print(f"count: {1e6 * seconds / NUM_SCALARS:.1f} microseconds")


if __name__ == "__main__":
    main()
