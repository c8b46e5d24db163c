"""The rules of `PuzzleHRMConfig` over many configs at once: which are valid, and which are one model.

Tests hold both equal to the config class, config by config.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hrm.families import Lattice
from hrm.puzzle.config import FORWARD_DTYPES, LOSS_TYPES, POS_ENCODINGS

_AT_LEAST_1 = (
    "hidden_size", "num_heads", "H_layers", "L_layers", "H_cycles", "L_cycles", "mlp_multiple",
    "halt_max_steps", "gradient_L_steps", "vocab_size", "seq_len", "num_puzzle_identifiers",
)  # fmt: skip
_ABOVE_0 = ("expansion", "rms_norm_eps", "rope_theta")
_NAMED = {"pos_encodings": POS_ENCODINGS, "loss_type": LOSS_TYPES, "forward_dtype": FORWARD_DTYPES}
_THROUGH_DERIVED = ("H_cycles", "L_cycles", "h_update_period", "expansion", "mlp_multiple", "puzzle_emb_ndim",
                    "gradient_L_steps")  # fmt: skip


def valid(fields: Mapping[str, Any]) -> Any:
    """Whether `PuzzleHRMConfig` takes the fields: a bool, or an array of them.

    Args:
        fields: a value or an array for each field; arrays hold numbers (None, strings and booleans only as
            single values) and broadcast against each other.
    """
    holds = np.bool_(all(fields[name] in allowed for name, allowed in _NAMED.items()))
    for name in _AT_LEAST_1:
        holds = holds & (fields[name] >= 1)
    for name in _ABOVE_0:
        holds = holds & (fields[name] > 0)
    for name, least in (("h_update_period", 1), ("puzzle_emb_ndim", 0)):
        if fields[name] is not None:
            holds = holds & (fields[name] >= least)
    holds = holds & (fields["halt_exploration_prob"] >= 0) & (fields["halt_exploration_prob"] <= 1)
    heads = np.maximum(fields["num_heads"], 1)
    holds = holds & (fields["hidden_size"] % heads == 0)
    if fields["pos_encodings"] == "rope":
        holds = holds & (fields["hidden_size"] // heads % 2 == 0)
    return holds


def architectures(fields: Mapping[str, Any]) -> dict[str, Any]:
    """`PuzzleHRMConfig.architecture` of valid `fields`: a value or an array for each of its entries."""
    same = {name: value for name, value in fields.items() if name not in _THROUGH_DERIVED}
    wanted = np.rint(fields["expansion"] * fields["hidden_size"] * 2 / 3).astype(np.int64)
    num_L_steps = fields["H_cycles"] * fields["L_cycles"]
    period = fields["L_cycles"] if fields["h_update_period"] is None else fields["h_update_period"]
    embedding = fields["hidden_size"] if fields["puzzle_emb_ndim"] is None else fields["puzzle_emb_ndim"]
    return same | {
        "inner_size": -(-wanted // fields["mlp_multiple"]) * fields["mlp_multiple"],
        "num_L_steps": num_L_steps,
        "effective_period": np.minimum(period, num_L_steps),
        "puzzle_embedding_size": embedding,
        "gradient_L_steps": np.minimum(fields["gradient_L_steps"], num_L_steps),
    }


LATTICE = Lattice(
    width="hidden_size",
    inner_width="inner_size",
    weightless=frozenset(
        ("num_heads", "H_cycles", "L_cycles", "h_update_period", "rms_norm_eps", "rope_theta", "loss_type",
         "halt_max_steps", "halt_exploration_prob", "q_continue", "gradient_L_steps", "forward_dtype")
    ),
    valid=valid,
    architectures=architectures,
)  # fmt: skip
