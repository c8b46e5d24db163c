"""The rules of `TextHRMConfig` over many configs at once: which are valid, and which are one model.

Tests hold both equal to the config class, config by config.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hrm.families import Lattice
from hrm.text.config import ABOVE_0, AT_LEAST_0, AT_LEAST_1, FORWARD_DTYPES, LEAST_WIDTH

_THROUGH_DERIVED = ("d_ff", "h_update_period", "gradient_checkpointing")


def valid(fields: Mapping[str, Any]) -> Any:
    """Whether `TextHRMConfig` takes the fields: a bool, or an array of them.

    Args:
        fields: a value or an array for each field; arrays hold numbers (None, strings and booleans only as
            single values) and broadcast against each other.
    """
    holds = np.bool_(fields["forward_dtype"] in FORWARD_DTYPES)
    for names, least in ((AT_LEAST_1, 1), (AT_LEAST_0, 0), (("n_embd",), LEAST_WIDTH)):
        for name in names:
            holds = holds & (fields[name] >= least)
    for name in ABOVE_0:
        holds = holds & (fields[name] > 0)
    if fields["d_ff"] is not None:
        holds = holds & (fields["d_ff"] >= 1)
    holds = holds & (fields["halt_epsilon"] > 0) & (fields["halt_epsilon"] < 1)
    holds = holds & (fields["dropout"] >= 0) & (fields["dropout"] < 1)
    heads = np.maximum(fields["n_head"], 1)
    return holds & (fields["n_embd"] % heads == 0) & (fields["n_embd"] // heads % 2 == 0)


def architectures(fields: Mapping[str, Any]) -> dict[str, Any]:
    """`TextHRMConfig.architecture` of valid `fields`: a value or an array for each of its entries."""
    same = {name: value for name, value in fields.items() if name not in _THROUGH_DERIVED}
    return same | {
        "inner_size": 4 * fields["n_embd"] if fields["d_ff"] is None else fields["d_ff"],
        "effective_period": np.minimum(fields["h_update_period"], fields["halt_max_steps"]),
    }


LATTICE = Lattice(
    width="n_embd",
    inner_width="inner_size",
    weightless=frozenset(
        ("n_head", "halt_max_steps", "h_update_period", "halt_bias_init", "halt_epsilon", "ponder_loss_weight",
         "q_loss_weight", "dropout", "rms_norm_eps", "rope_theta", "forward_dtype", "gradient_checkpointing",
         "seq_len")
    ),
    valid=valid,
    architectures=architectures,
)  # fmt: skip
