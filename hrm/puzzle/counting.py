"""Exact parameters, FLOPs and bytes of a puzzle HRM, from its config alone.

One set of formulas serves a single config (Python ints, never overflowing) and arrays of configs (int64):
they use only arithmetic and comparisons that mean the same for both. Conventions: `hrm.counting`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from hrm.counting import Counts
from hrm.errors import ConfigError, UnknownNameError
from hrm.puzzle.config import PuzzleHRMConfig
from hrm.puzzle.formulas import Sizes, all_counts, h_updates
from hrm.train_config import TrainConfig

_COUNTED = [*(field.name for field in dataclasses.fields(Counts)), "params", "total_bytes", "inner_size"]
_BLOCK = 1 << 14
"""Configs counted at a time: three times as fast as a million at once, whose temporaries leave the caches."""
_MOST = np.iinfo(np.int64).max // 8
_DEFAULTS = {field.name: field.default for field in dataclasses.fields(PuzzleHRMConfig)}


def count(config: PuzzleHRMConfig, batch_size: int = 1, train: TrainConfig | None = None) -> Counts:
    """Exact counts of one model, in microseconds.

    Args:
        config: the model.
        batch_size: sequences of a training step, and of the evaluation batch that is counted.
        train: the training rules; only `ema` matters (an average of the weights takes memory). None: no EMA.
    """
    return Counts(**all_counts(sizes_of(config), batch_size, _has_ema(train)))


def sizes_of(config: PuzzleHRMConfig) -> Sizes:
    """What the formulas need of one config."""
    gradient_L_steps = min(config.gradient_L_steps, config.num_L_steps)
    H_updates, gradient_H_updates = h_updates(config.num_L_steps, config.effective_period, gradient_L_steps)
    return Sizes(
        H=config.hidden_size,
        I=config.inner_size,
        heads=config.num_heads,
        H_layers=config.H_layers,
        L_layers=config.L_layers,
        L_steps=config.num_L_steps,
        H_updates=H_updates,
        gradient_L_steps=gradient_L_steps,
        gradient_H_updates=gradient_H_updates,
        S=config.seq_len,
        P=config.puzzle_emb_len,
        V=config.vocab_size,
        num_puzzles=config.num_puzzle_identifiers,
        ndim=config.puzzle_embedding_size,
        learned=config.pos_encodings == "learned",
        softmax=config.loss_type == "softmax_cross_entropy",
        halt_max_steps=config.halt_max_steps,
        q_continue=config.q_continue,
        half=config.forward_dtype != "float32",
    )


def count_arrays(
    fields: Mapping[str, Any], batch_size: int = 1, train: TrainConfig | None = None
) -> dict[str, np.ndarray]:
    """`count` of many configs at once, more than a million a second.

    Args:
        fields: a value or an array for each config field, broadcast against each other; a missing field has
            its default, and None means what it means in the config. Whether the configs are valid (heads that
            divide the width, say) is not looked at.
        batch_size, train: as for `count`, the same for all.

    Returns:
        int64 arrays of one shape: the fields of `Counts`, `params`, `total_bytes` and `inner_size`.

    Raises:
        UnknownNameError: a field that the config does not have.
        ConfigError: a count that int64 cannot hold.
    """
    for name in fields:
        if name not in _DEFAULTS:
            raise UnknownNameError.among("model", name, _DEFAULTS)
    columns = {name: np.asarray(fields.get(name, default)) for name, default in _DEFAULTS.items()}
    shape = np.broadcast_shapes(*(column.shape for column in columns.values()))
    flat = {
        name: column.reshape(-1) if column.size == 1 else np.broadcast_to(column, shape).reshape(-1)
        for name, column in columns.items()
    }
    num_configs = math.prod(shape)
    counts = {name: np.empty(num_configs, np.int64) for name in _COUNTED}
    for start in range(0, num_configs, _BLOCK):
        block = slice(start, start + _BLOCK)
        part = {name: column if column.size == 1 else column[block] for name, column in flat.items()}
        for name, values in _count_block(part, batch_size, train).items():
            counts[name][block] = values
    return {name: values.reshape(shape) for name, values in counts.items()}


def _count_block(
    columns: Mapping[str, np.ndarray], batch_size: int, train: TrainConfig | None
) -> dict[str, np.ndarray]:
    """`count_arrays` of one-dimensional columns, few enough for the processor's caches."""
    sizes = _sizes_of_columns(columns)
    _refuse_overflow(sizes, batch_size, train)
    counts = all_counts(sizes, batch_size, _has_ema(train))
    counts["params"] = counts["trainable_params"] + counts["puzzle_embedding_params"]
    counts["total_bytes"] = sum(value for name, value in counts.items() if name.endswith("_bytes"))
    counts["inner_size"] = sizes.I
    return counts


def _sizes_of_columns(columns: Mapping[str, np.ndarray]) -> Sizes:
    """The derived sizes of `PuzzleHRMConfig`, over arrays."""
    whole = {
        name: _integers(column)
        for name, column in columns.items()
        if isinstance(_DEFAULTS[name], int) and name != "q_continue"
    }
    H, multiple = whole["hidden_size"], whole["mlp_multiple"]
    # np.rint and Python's round agree: both take halves to the even neighbour.
    wanted = np.rint(columns["expansion"].astype(np.float64) * H * 2 / 3).astype(np.int64)
    N = whole["H_cycles"] * whole["L_cycles"]
    period = _integers(columns["h_update_period"], none=whole["L_cycles"])
    gradient_L_steps = np.minimum(whole["gradient_L_steps"], N)
    H_updates, gradient_H_updates = h_updates(N, np.minimum(period, N), gradient_L_steps)
    ndim = _integers(columns["puzzle_emb_ndim"], none=H)
    return Sizes(
        H=H,
        I=-(-wanted // multiple) * multiple,
        heads=whole["num_heads"],
        H_layers=whole["H_layers"],
        L_layers=whole["L_layers"],
        L_steps=N,
        H_updates=H_updates,
        gradient_L_steps=gradient_L_steps,
        gradient_H_updates=gradient_H_updates,
        S=whole["seq_len"],
        P=-(-ndim // H),
        V=whole["vocab_size"],
        num_puzzles=whole["num_puzzle_identifiers"],
        ndim=ndim,
        learned=columns["pos_encodings"] == "learned",
        softmax=columns["loss_type"] == "softmax_cross_entropy",
        halt_max_steps=whole["halt_max_steps"],
        q_continue=columns["q_continue"].astype(bool),
        half=columns["forward_dtype"] != "float32",
    )


def _integers(column: np.ndarray, none: np.ndarray | None = None) -> np.ndarray:
    """A column as int64, with `none` where it has None."""
    if column.dtype != object or none is None:
        return column.astype(np.int64)
    is_none = column == np.asarray(None)
    return np.where(is_none, none, np.where(is_none, 0, column).astype(np.int64))


def _refuse_overflow(sizes: Sizes, batch_size: int, train: TrainConfig | None) -> None:
    """Raises ConfigError when a count could pass int64, which would wrap around in silence."""
    # Counts grow with every size; flags and heads move them less than the margin of 8, which also covers the
    # sum of the bytes. Python's ints hold the bound.
    largest = {name: int(np.max(value, initial=0)) for name, value in sizes._asdict().items()}
    bound = all_counts(Sizes(**largest), batch_size, _has_ema(train))
    name, count = max(bound.items(), key=lambda item: item[1])
    if count > _MOST:
        raise ConfigError(
            f"model with hidden_size={largest['H']}",
            f"{name} up to {count:.1e}",
            f"must stay below {_MOST:.1e}",
            "Lower the largest values of the space, or the batch size.",
        )


def _has_ema(train: TrainConfig | None) -> bool:
    return train is not None and train.ema > 0
