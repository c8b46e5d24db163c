"""The puzzle HRM: ACT, H/L cycles, puzzle embeddings (reference: sapientinc/HRM, arXiv 2506.21734)."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from hrm.families import Family
from hrm.puzzle.config import PuzzleHRMConfig
from hrm.puzzle.counting import count, count_arrays
from hrm.puzzle.lattice import LATTICE

if TYPE_CHECKING:
    from hrm.puzzle.model import PuzzleHRM


def build(config: PuzzleHRMConfig) -> PuzzleHRM:
    """The model; torch is imported here, so that counting and checking need not wait for it."""
    from hrm.puzzle.model import PuzzleHRM

    return PuzzleHRM(config)


def official_names(state: Mapping[str, Any]) -> dict[str, Any]:
    """See `hrm.puzzle.checkpoint_names.to_official`."""
    from hrm.puzzle.checkpoint_names import to_official

    return to_official(state)


def load_count_face() -> ModuleType:
    """See `hrm.puzzle.count_face`; imported by the door that needs it."""
    return import_module("hrm.puzzle.count_face")


FAMILY = Family(
    name="puzzle",
    config_class=PuzzleHRMConfig,
    build=build,
    counts=count,
    count_arrays=count_arrays,
    lattice=LATTICE,
    count_face=load_count_face,
    official_names=official_names,
    metrics=("loss", "exact_accuracy", "cell_accuracy", "blank_accuracy", "q_halt_accuracy"),
)
