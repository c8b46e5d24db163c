"""Named models, one YAML file each in `preset_files/`: a new preset is a new file."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hrm.config.errors import ConfigError, UnknownNameError
from hrm.config.schema import build_config, read_yaml

FOLDER = Path(__file__).parent / "preset_files"
_CLAIM = re.compile(r"~(?P<low>\d+(\.\d+)?)(–(?P<high>\d+(\.\d+)?))?(?P<unit>[MB])")
_UNITS = {"M": 1e6, "B": 1e9}


@dataclass(frozen=True, kw_only=True)
class Documented:
    """What a document says of a preset beyond its model and its training rules.

    Names of folders and repositories hold {dataset}, the short name of what is trained on.
    """

    output_dir: str = ""
    """Folder of its runs, under OUTPUT_BASE."""
    hub_repo: str = ""
    """Repository on the Hugging Face hub."""
    epochs: float = 1.0
    """Passes over the training data."""
    eval_steps: int = 500
    """Optimizer steps between validations."""
    subset_percent: float = 100.0
    """Share of the data set to train on."""
    batch_size_multi_gpu: int | None = None
    """Sequences of a batch on several GPUs; null is as on one."""
    script: str | None = None
    """The document's script, which `python -m hrm.train preset=...` replaces."""
    vram_gb: str | None = None
    """GPU memory that the document asks for, in its words."""
    training_hours: str | None = None
    """How long the document says that training takes, in its words."""
    use_case: str | None = None

    def __post_init__(self) -> None:
        for name in ("output_dir", "hub_repo"):
            if "{dataset}" not in getattr(self, name):
                raise ConfigError(f"document.{name}", getattr(self, name), "must hold {dataset}")

    def folder_name(self, dataset: str) -> str:
        """Of a run's folder, for a data set such as `allenai/c4`."""
        return self.output_dir.format(dataset=short_name(dataset))

    def repo_name(self, dataset: str) -> str:
        """Of the repository, for a data set such as `allenai/c4`."""
        return self.hub_repo.format(dataset=short_name(dataset))

    def run_length(self, num_sequences: int, sequences_per_step: int) -> dict[str, int]:
        """`steps` and `num_reports` of the training rules, for that many training sequences.

        Both are at least 1; reports are at equal fractions, as near to `eval_steps` apart as that allows.
        """
        steps = max(1, round(self.epochs * num_sequences / sequences_per_step))
        return {"steps": steps, "num_reports": max(1, round(steps / self.eval_steps))}


def short_name(dataset: str) -> str:
    """What a data set is called within names: `c4` for `allenai/c4`."""
    return re.sub(r"[^\w.-]+", "-", dataset.rstrip("/").rpartition("/")[2])


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
    train: dict[str, Any] = field(default_factory=dict)
    """The training rules it sets. A sweep trains every arm by its own rules instead."""
    task: dict[str, Any] = field(default_factory=dict)
    """The task options it sets, for the task that it names."""
    document: dict[str, Any] = field(default_factory=dict)
    """The fields of `Documented`; none where no document says more."""
    summary: str = ""
    """What it is for, in a line."""
    place: str | None = None
    """Where its document has it; None for our own."""
    claim: str | None = None
    """What the document says of its parameters, in its words; None where it says nothing."""

    def __post_init__(self) -> None:
        if not self.model:
            raise ConfigError(f"preset {self.name}: model", self.model, "must hold the model's fields")
        if self.claim is not None and not _CLAIM.fullmatch(self.claim):
            raise ConfigError(f"preset {self.name}: claim", self.claim, "must read like ~25M, ~7–8M or ~1B")

    @property
    def claimed_params(self) -> tuple[float, float] | None:
        """The lowest and the highest number of parameters that the claim allows."""
        if self.claim is None:
            return None
        match = _CLAIM.fullmatch(self.claim)
        assert match
        unit = _UNITS[match["unit"]]
        return float(match["low"]) * unit, float(match["high"] or match["low"]) * unit

    def claim_error(self, params: int) -> float:
        """How far `params` lie above (+) or below (-) what the claim allows, as a fraction of its nearer end."""
        assert self.claimed_params is not None
        low, high = self.claimed_params
        return params / min(max(params, low), high) - 1

    @property
    def documented(self) -> Documented | None:
        """What a document says of it beyond model and training; None where none does.

        Raises:
            UserError: the preset's file is at fault.
        """
        if not self.document:
            return None
        return build_config(Documented, self.document, f"preset {self.name}: document")


def list_presets(family: str | None = None) -> list[str]:
    """Every preset, or those of a family, in alphabetical order."""
    names = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    return names if family is None else [name for name in names if load_preset(name).family == family]


def load_preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        UserError: there is none, or its file is not a preset.
    """
    if name not in list_presets():
        raise UnknownNameError.among("preset", name, list_presets())
    return copy.deepcopy(_read(FOLDER / f"{name}.yaml"))


@functools.cache
def _read(path: Path) -> Preset:
    return build_config(Preset, {**read_yaml(path), "name": path.stem}, str(path))


def claimed_preset(config: Any, family: str, shape: Callable[[Any], object]) -> Preset | None:
    """The preset whose claim covers `config`: a document says how many parameters models of its shape have.

    Args:
        config: of the family.
        shape: from a config to all that decides its number of parameters.
    """
    for preset in map(load_preset, list_presets(family)):
        if preset.claim is not None and shape(type(config)(**preset.model)) == shape(config):
            return preset
    return None
