"""The causal text HRM: layers of H and L with adaptive halting (`docs/hrm-text.md`)."""

from __future__ import annotations

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


FAMILY = Family(
    name="text",
    config_class=TextHRMConfig,
    build=build,
    counts=count,
    count_arrays=count_arrays,
    lattice=LATTICE,
    official_names=dict,
    adaptive=True,
)
