"""Whether a checkpoint belongs to a run: what may differ on resume, and what may not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hrm.errors import CheckpointError
from hrm.run_config import RunConfig
from hrm.tasks.base import Dataset

FREE_ON_RESUME = ("device", "threads")
"""Fields of a config that may differ from the checkpoint's: they say where a run computes, not what."""


def check_same_run(state: Mapping[str, Any], config: RunConfig, dataset: Dataset) -> None:
    """Makes sure that a saved state is of this config and these data.

    Raises:
        CheckpointError: it belongs to another config or other data.
    """
    given, own = _decisive(state["config"]), _decisive(config.to_dict())
    for name in sorted(given.keys() | own.keys()):
        if given.get(name) != own.get(name):
            raise CheckpointError(
                f"checkpoint's {name}", given.get(name), f"must equal this run's: {own.get(name)!r}"
            )
    if state["data_fingerprint"] != dataset.fingerprint:
        raise CheckpointError(
            "checkpoint's data", state["data_fingerprint"],
            f"must equal the fingerprint of this run's data: {dataset.fingerprint}",
            "The data have changed since the checkpoint was written; start a new run",
        )  # fmt: skip


def _decisive(config: dict[str, Any]) -> dict[str, Any]:
    """The config's values by dotted name, without those that may change on resume."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{field}": inner for field, inner in value.items()}
        elif name not in FREE_ON_RESUME:
            flat[name] = value
    return flat
