"""Named models, one YAML file each in `preset_files/`: a new preset is a new file."""

from __future__ import annotations

import copy
import functools
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hrm.config.errors import ConfigError, UnknownNameError
from hrm.config.schema import build_config, read_yaml
from hrm.models.registry import get_family

FOLDER = Path(__file__).parent / "preset_files"
_REPORTED_PARAMS = re.compile(r"~(?P<low>\d+(\.\d+)?)(–(?P<high>\d+(\.\d+)?))?(?P<unit>[MB])")
_UNITS = {"M": 1e6, "B": 1e9}


@dataclass(frozen=True, kw_only=True)
class DocumentedSettings:
    """Settings of a documented model beyond its architecture and its training config.

    Names of folders and repositories hold {dataset}, the short name of the training data.
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
    """Percentage of the data set to train on."""
    batch_size_multi_gpu: int | None = None
    """Sequences of a batch on several GPUs; null is the same as on one."""
    script: str | None = None
    """The documented script, which `python -m hrm.train preset=...` replaces."""
    vram_gb: str | None = None
    """GPU memory that the document asks for, as written there: `8`, `2-4` or `16+`."""
    training_hours: str | None = None
    """Hours that training takes according to the document, as written there: `1-2`."""
    use_case: str | None = None

    def __post_init__(self) -> None:
        for name in ("output_dir", "hub_repo"):
            if "{dataset}" not in getattr(self, name):
                raise ConfigError(f"documented.{name}", getattr(self, name), "must hold {dataset}")

    def format_output_dir(self, dataset: str) -> str:
        """Return the name of a run's folder for a data set such as `allenai/c4`."""
        return self.output_dir.format(dataset=shorten_dataset_name(dataset))

    def format_hub_repo(self, dataset: str) -> str:
        """Return the name of the repository for a data set such as `allenai/c4`."""
        return self.hub_repo.format(dataset=shorten_dataset_name(dataset))

    def compute_run_length(self, num_sequences: int, sequences_per_step: int) -> dict[str, int]:
        """Return `steps` and `num_reports` of a training config for that many training sequences.

        Both are at least 1; reports are at equal fractions, as near to `eval_steps` apart as that allows.
        """
        steps = max(1, round(self.epochs * num_sequences / sequences_per_step))
        return {"steps": steps, "num_reports": max(1, round(steps / self.eval_steps))}


def shorten_dataset_name(dataset: str) -> str:
    """Return the name of a data set as part of other names.

    >>> shorten_dataset_name("allenai/c4")
    'c4'
    """
    return re.sub(r"[^\w.-]+", "-", dataset.rstrip("/").rpartition("/")[2])


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A named model.

    Raises:
        ConfigError: the model is missing, or the reported parameters are not a number.
    """

    name: str
    family: str = "puzzle"
    model: dict[str, Any] = field(default_factory=dict)
    """The model fields it sets; all others keep the family's defaults."""
    train: dict[str, Any] = field(default_factory=dict)
    """The fields of training it sets. A sweep trains every arm with its own instead."""
    task: dict[str, Any] = field(default_factory=dict)
    """The task options it sets, for the task that it names."""
    documented: DocumentedSettings | None = None
    """Further documented settings; null where there are none."""
    summary: str = ""
    """Its purpose in a line."""
    source: str | None = None
    """The section of the document that describes it; null for our own."""
    reported_params: str | None = None
    """The number of parameters according to the document, as written there: `~25M`, `~7–8M`; null if not given."""

    def __post_init__(self) -> None:
        where = f"preset {self.name}"
        if not self.model:
            raise ConfigError(f"{where}: model", self.model, "must hold the model's fields")
        if self.reported_params is not None and not _REPORTED_PARAMS.fullmatch(self.reported_params):
            rule = "must read like ~25M, ~7–8M or ~1B"
            raise ConfigError(f"{where}: reported_params", self.reported_params, rule)

    def fits_family(self, family: str) -> bool:
        """Check whether the preset is a model of the family, or of one that it shares its config class with."""
        return get_family(self.family).config_class is get_family(family).config_class

    def compare_params(self, params: int) -> float:
        """Return how far `params` is above (+) or below (-) the reported range, relative to its nearer end.

        The preset must have `reported_params`.
        """
        match = _REPORTED_PARAMS.fullmatch(self.reported_params or "")
        assert match
        low, high = (
            float(end) * _UNITS[match["unit"]] for end in (match["low"], match["high"] or match["low"])
        )
        return params / min(max(params, low), high) - 1


def list_presets(family: str | None = None) -> list[str]:
    """Return the names of all presets, or of those of a family, in alphabetical order."""
    names = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    return names if family is None else [name for name in names if load_preset(name).fits_family(family)]


def load_preset(name: str) -> Preset:
    """Return the preset of that name.

    Raises:
        UserError: there is none, or its file is not a preset.
    """
    if name not in list_presets():
        raise UnknownNameError.among("preset", name, list_presets())
    return copy.deepcopy(_read_preset(FOLDER / f"{name}.yaml"))


@functools.cache
def _read_preset(path: Path) -> Preset:
    values = {**read_yaml(path), "name": path.stem}
    if "documented" in values:
        where = f"preset {path.stem}: documented"
        values["documented"] = build_config(DocumentedSettings, values["documented"], where)
    return build_config(Preset, values, str(path))
