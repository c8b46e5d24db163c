"""Named models, one YAML file each in `preset_files/`: a new preset is a new file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hrm import config as reader
from hrm.errors import ConfigError, UnknownNameError

FOLDER = Path(__file__).parent / "preset_files"
_CLAIM = re.compile(r"~(?P<low>\d+(\.\d+)?)(–(?P<high>\d+(\.\d+)?))?M")


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A named model.

    Raises:
        ConfigError: the model is missing, or the claim names no number of parameters.
    """

    name: str
    family: str = "puzzle"
    model: dict[str, Any] = field(default_factory=dict)
    """The model fields it sets; all others keep the family's defaults."""
    summary: str = ""
    """What it is for, in a line."""
    place: str | None = None
    """Where the size guide has it."""
    claim: str | None = None
    """What the size guide says of its parameters, in its words; None where it says nothing."""

    def __post_init__(self) -> None:
        if not self.model:
            raise ConfigError(f"preset {self.name}: model", self.model, "must hold the model's fields")
        if self.claim is not None and not _CLAIM.fullmatch(self.claim):
            raise ConfigError(f"preset {self.name}: claim", self.claim, "must read like ~25M or ~7–8M")

    @property
    def claimed_params(self) -> tuple[float, float] | None:
        """The lowest and the highest number of parameters that the claim allows."""
        if self.claim is None:
            return None
        match = _CLAIM.fullmatch(self.claim)
        assert match
        return float(match["low"]) * 1e6, float(match["high"] or match["low"]) * 1e6


def preset_names(family: str | None = None) -> list[str]:
    """Every preset, or those of a family, in alphabetical order."""
    names = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    return names if family is None else [name for name in names if load_preset(name).family == family]


def load_preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        UserError: there is none, or its file is not a preset.
    """
    if name not in preset_names():
        raise UnknownNameError.among("preset", name, preset_names())
    path = FOLDER / f"{name}.yaml"
    return reader.build(Preset, {**reader.read_yaml(path), "name": name}, str(path))
