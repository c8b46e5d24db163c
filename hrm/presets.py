"""Named models, one YAML file each in `preset_files/`: a new preset is a new file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrm import config as reader
from hrm.errors import ConfigError, UnknownNameError

FOLDER = Path(__file__).parent / "preset_files"
_OWN_KEYS = ("summary", "place", "claim", "family", "model")


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A named model."""

    name: str
    family: str
    model: dict[str, Any]
    """The model fields it sets; all others keep the family's defaults."""
    summary: str
    """What it is for, in a line."""
    place: str | None
    """Where the size guide has it."""
    claim: str | None
    """What the size guide says of its parameters, in its words; None where it says nothing."""


def preset_names() -> list[str]:
    """Every preset, in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        UnknownNameError: there is none, or its file has a key that presets do not have.
        ConfigError: its file is not a preset.
    """
    if name not in preset_names():
        raise UnknownNameError.among("preset", name, preset_names())
    path = FOLDER / f"{name}.yaml"
    values = reader.read_yaml(path)
    for key in values:
        if key not in _OWN_KEYS:
            raise UnknownNameError.among(str(path), key, _OWN_KEYS)
    model = values.get("model")
    if not isinstance(model, dict):
        raise ConfigError(f"{path}: model", model, "must hold the model's fields")
    described = {key: values.get(key) for key in ("place", "claim")}
    family = values.get("family", "puzzle")
    return Preset(name=name, family=family, model=model, summary=values.get("summary", ""), **described)
