"""Two spaces, one of filled widths and one of cycles, and draws from them."""

from __future__ import annotations

import numpy as np

from sweeps.space.candidates import Candidate, Candidates
from tests.sweeps.small_sweep import space

FILLED = space(
    {"H_layers": {"int": [1, 8]}, "L_layers": {"int": [1, 8]}, "lr": {"log": [1e-4, 1e-2], "num": 5}},
    derived={"hidden_size": "fill", "num_heads": "hidden_size // head_size"},
    fixed={"H_cycles": 1, "L_cycles": 1},
)
CYCLES = space(
    {"H_cycles": {"int": [1, 4]}, "L_cycles": {"int": [1, 4]}, "h_update_period": {"int": [1, 8]}},
    fixed={"hidden_size": 64, "num_heads": 4, "H_layers": 1, "L_layers": 1},
)


def sampled(found: Candidates, number: int, exclude: set[str], seed: int = 0) -> list[Candidate]:
    rng = np.random.default_rng(seed)
    drawn = [found.sample(rng, exclude) for _ in range(number)]
    assert all(one is not None for one in drawn)
    return drawn  # type: ignore[return-value]
