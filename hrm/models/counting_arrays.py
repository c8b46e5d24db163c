"""Counting many configs at once: what the families' `count_arrays` share."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hrm.config.errors import ConfigError, UnknownNameError
from hrm.config.lattice import unchecked
from hrm.config.schema import field_kinds
from hrm.models.counting import Counts

COUNTED = [*(field.name for field in dataclasses.fields(Counts)), "params", "total_bytes", "inner_size"]
_BLOCK = 1 << 14
"""Configs counted at a time: three times as fast as a million at once, whose temporaries leave the caches."""
_MOST = np.iinfo(np.int64).max // 8

AllCounts = Callable[[Any], dict[str, Any]]
"""From a family's `Sizes`, of one config or of arrays, to the fields of `Counts`."""


def count_columns(
    fields: Mapping[str, Any],
    config_class: type,
    sizes_of: Callable[[Any], Any],
    all_counts: AllCounts,
) -> dict[str, np.ndarray]:
    """Counts of many configs.

    Args:
        fields: a value or an array for each field of `config_class`, broadcast against each other; a missing
            field has its default.
        sizes_of: from a config, here one whose fields are one-dimensional columns, to the family's `Sizes`, a
            named tuple.

    Returns:
        int64 arrays of one shape: the fields of `Counts`, `params`, `total_bytes` and `inner_size`.

    Raises:
        UnknownNameError: a field that the config does not have.
        ConfigError: a count that int64 cannot hold.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(config_class)}
    for name in fields:
        if name not in defaults:
            raise UnknownNameError.among("model", name, defaults)
    kinds = field_kinds(config_class)
    columns = {name: _column(fields.get(name, default), kinds[name]) for name, default in defaults.items()}
    shape = np.broadcast_shapes(*(column.shape for column in columns.values()))
    flat = {
        name: column.reshape(-1) if column.size == 1 else np.broadcast_to(column, shape).reshape(-1)
        for name, column in columns.items()
    }
    num_configs = math.prod(shape)
    counts = {name: np.empty(num_configs, np.int64) for name in COUNTED}
    for start in range(0, num_configs, _BLOCK):
        block = slice(start, start + _BLOCK)
        part = {name: column if column.size == 1 else column[block] for name, column in flat.items()}
        many = unchecked(config_class, part)
        sizes = sizes_of(many)
        _refuse_overflow(sizes, all_counts)
        for name, values in _with_sums(all_counts(sizes), many.inner_size).items():
            counts[name][block] = values
    return {name: values.reshape(shape) for name, values in counts.items()}


def _with_sums(counts: dict[str, Any], inner_size: Any) -> dict[str, Any]:
    return counts | {
        "params": counts["trainable_params"] + counts["puzzle_embedding_params"],
        "total_bytes": sum(value for name, value in counts.items() if name.endswith("_bytes")),
        "inner_size": inner_size,
    }


def _column(values: Any, kinds: tuple[Any, ...]) -> np.ndarray:
    """A field's values in the type to count with; None among ints keeps the type object (`filled` takes it)."""
    column = np.asarray(values)
    if int in kinds:
        return column if column.dtype == object else column.astype(np.int64)
    return column.astype(np.float64) if float in kinds else column


def _refuse_overflow(sizes: Any, all_counts: AllCounts) -> None:
    """Raises ConfigError when a count could pass int64, which would wrap around in silence."""
    # Counts grow with every size; flags and heads move them less than the margin of 8, which also covers the
    # sum of the bytes. Python's ints hold the bound.
    largest = {name: int(np.max(value, initial=0)) for name, value in sizes._asdict().items()}
    bound = all_counts(type(sizes)(**largest))
    name, count = max(bound.items(), key=lambda item: item[1])
    if count > _MOST:
        shown = ", ".join(f"{name}={value}" for name, value in largest.items())
        raise ConfigError(
            f"a model of at most {shown}",
            f"{name} up to {count:.1e}",
            f"must stay below {_MOST:.1e}",
            "Lower the largest values of the space, or the batch size.",
        )
