"""The causal text HRM: layers of H and L with adaptive halting (`docs/hrm-text.md`)."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from hrm.families import Family
from hrm.text.config import TextHRMConfig
from hrm.text.counting import count, count_arrays
from hrm.text.lattice import LATTICE

if TYPE_CHECKING:
    from hrm.text.model import TextHRM


def build(config: TextHRMConfig) -> TextHRM:
    """The model; torch is imported here, so that counting and checking need not wait for it."""
    from hrm.text.model import TextHRM

    return TextHRM(config)


def load_count_face() -> ModuleType:
    """See `hrm.text.count_face`; imported by the door that needs it."""
    return import_module("hrm.text.count_face")


FAMILY = Family(
    name="text",
    config_class=TextHRMConfig,
    build=build,
    counts=count,
    count_arrays=count_arrays,
    lattice=LATTICE,
    count_face=load_count_face,
    official_names=dict,
    metrics=("loss", "perplexity", "bits_per_byte", "accuracy", "steps"),
    adaptive=True,
)
