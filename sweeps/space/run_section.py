"""The `run` section of a space: what `run_sweep.py` takes unless the command line says otherwise."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, get_type_hints

from hrm.errors import UnknownNameError
from sweeps.config import SweepConfig
from sweeps.errors import SpaceError
from sweeps.space.fields import Fields, unknown

NAMED = ("task", "sampler", "pruner")
"""Sections that a bare name may stand for: `task: sudoku6` is `task: {name: sudoku6}`."""


def check_run_section(run: Mapping[str, Any], fields: Fields, where: str) -> None:
    """Refuses what no sweep takes. The options of a task, sampler or pruner are theirs to judge.

    Raises:
        SpaceError: an unknown key, or a section that is not a mapping.
    """
    where = f"{where}: run"
    hints = get_type_hints(SweepConfig)
    known = [name for name in hints if name != "space"]
    for key, given in run.items():
        if key not in known:
            raise unknown(where, str(key), known)
        if key in NAMED and isinstance(given, str):
            continue
        is_section = dataclasses.is_dataclass(hints[key]) or hints[key] == dict[str, Any]
        if is_section and not isinstance(given, Mapping):
            raise SpaceError(f"{where}.{key}", given, "must be a mapping of names to values")
        if dataclasses.is_dataclass(hints[key]):
            _check_keys(given, [field.name for field in dataclasses.fields(hints[key])], f"{where}.{key}")
        if key == "model":
            _check_keys(given, list(fields.classes["model"].__dataclass_fields__), f"{where}.{key}")  # type: ignore[attr-defined]


def _check_keys(given: Mapping[str, Any], known: list[str], where: str) -> None:
    for name in given:
        if name not in known:
            raise SpaceError(*UnknownNameError.among(where, str(name), known).args)
