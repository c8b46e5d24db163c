"""Small puzzle HRMs."""

from __future__ import annotations

from typing import Any

import torch

from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.puzzle.model import PuzzleHRM

SMALL = {
    "hidden_size": 16,
    "num_heads": 2,
    "H_layers": 1,
    "L_layers": 1,
    "mlp_multiple": 8,
    "seq_len": 6,
    "forward_dtype": "float32",
}


def small_config(**overrides: Any) -> PuzzleHRMConfig:
    return PuzzleHRMConfig(**(SMALL | overrides))


def small_model(seed: int = 0, **overrides: Any) -> PuzzleHRM:
    torch.manual_seed(seed)
    return PuzzleHRM(small_config(**overrides))
