"""From the command line of `hrm.train` to a trainer, ready or resumed, and the folder of its run."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrm.config.errors import ConfigError
from hrm.config.presets import Preset, load_preset
from hrm.config.run_config import RunConfig, merge_overrides, qualify, read_run_values
from hrm.config.schema import parse_dotlist
from hrm.data.base import Dataset
from hrm.data.registry import open_task
from hrm.training import checkpoint
from hrm.training.checkpoint import FREE_ON_RESUME
from hrm.training.progress import DataProgress
from hrm.training.publish import Publication
from hrm.training.run_folder import RunFolder
from hrm.training.trainer import Trainer

SOURCES = ("preset", "config", "resume")
"""What a run starts from; at most one is given."""
OUTPUTS = Path("outputs/train")
OUTPUT_BASE = "OUTPUT_BASE"
"""The environment variable that holds the root of output folders; the option `output_base` wins over it."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command line asks for."""

    label: str
    """What is trained, in a word: a preset's name, a config file's, ..."""
    trainer: Trainer
    folder: RunFolder
    read_test: bool
    publication: Publication | None
    """Where the finished run is to be published, if anywhere."""


def read_request(arguments: list[str]) -> Request:
    """Reads the command line, opens the data and builds the trainer.

    Raises:
        UserError: see the message.
    """
    options = parse_dotlist(arguments)
    read_test = options.pop("read_test", False)
    if not isinstance(read_test, bool):
        raise ConfigError("read_test", read_test, "must be true or false")
    push = options.pop("push_to_hub", False)
    out = options.pop("out", None)
    new_folder = None if out is None else Path(str(out))
    if new_folder is not None:
        RunFolder.check_new(new_folder)
    base = Path(str(options.pop("output_base", os.environ.get(OUTPUT_BASE) or OUTPUTS)))
    given = [name for name in SOURCES if name in options]
    if len(given) > 1:
        raise ConfigError(" and ".join(given), "both", f"at most one of {', '.join(SOURCES)} may be given")
    sources = {name: str(options.pop(name)) for name in given}
    if "resume" in sources:
        publication = Publication.ask(push, None)
        label, trainer, folder = _resume(Path(sources["resume"]), options, new_folder)
    else:
        preset = load_preset(sources["preset"]) if "preset" in sources else None
        label, config = _new_config(sources, preset, options)
        publication = Publication.ask(push, preset_repo(preset, config))
        trainer, folder = _start(label, preset, config, options, new_folder, base)
    return Request(label=label, trainer=trainer, folder=folder, read_test=read_test, publication=publication)


def _start(
    label: str,
    preset: Preset | None,
    config: RunConfig,
    overrides: Mapping[str, Any],
    new_folder: Path | None,
    base: Path,
) -> tuple[Trainer, RunFolder]:
    own_folder = None if preset is None else preset_folder(preset, config, base)
    if new_folder is None and own_folder is not None:
        RunFolder.check_new(own_folder)
    dataset = open_data(config)
    _check_data_decide(config, overrides, dataset)
    config = _documented_length(preset, config, overrides, dataset)
    trainer = Trainer(config, dataset)
    folder = RunFolder.create(new_folder or own_folder or _default_folder(label, dataset, base))
    folder.write_config(trainer.config)
    return trainer, folder


def _new_config(
    sources: Mapping[str, str], preset: Preset | None, overrides: Mapping[str, Any]
) -> tuple[str, RunConfig]:
    if "config" in sources:
        path = Path(sources["config"])
        return path.stem, RunConfig.from_dict(merge_overrides(read_run_values(path), overrides))
    if preset is not None:
        task = preset.task | _documented_share(preset, overrides)
        values = {"family": preset.family, "model": preset.model, "train": preset.train, "task": task}
        return preset.name, RunConfig.from_dict(merge_overrides(values, overrides))
    return "model", RunConfig.from_dict(merge_overrides({}, overrides))


def _documented_share(preset: Preset, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The share of a hub's data set that a document trains on; a text of one's own is taken whole."""
    documented = preset.documented
    if documented is None or not {"task.dataset", "dataset"} & overrides.keys():
        return {}
    return {"subset_percent": documented.subset_percent}


def preset_folder(preset: Preset, config: RunConfig, base: Path) -> Path | None:
    """The folder under `base` that a document gives a preset's runs; None where none does."""
    documented = preset.documented
    if documented is None:
        return None
    return base / documented.format_output_dir(data_name(config))


def preset_repo(preset: Preset | None, config: RunConfig) -> str | None:
    """The repository on the hub that a document gives a preset's runs; None where none does."""
    documented = None if preset is None else preset.documented
    return None if documented is None else documented.format_hub_repo(data_name(config))


def data_name(config: RunConfig) -> str:
    """What a run trains on, in a word: a data set of the hub, a text file, or the task."""
    return str(
        getattr(config.task, "dataset", None) or getattr(config.task, "text", None) or config.task.name
    )


def _documented_length(
    preset: Preset | None, config: RunConfig, overrides: Mapping[str, Any], dataset: Dataset
) -> RunConfig:
    """The config with the preset's epochs and distance of validations, unless the command line has its own."""
    documented = None if preset is None else preset.documented
    given = {qualify(name, config.family, config.task.name) for name in overrides}
    if (
        documented is None
        or dataset.num_train_sequences is None
        or given & {"train.steps", "train.max_flops"}
    ):
        return config
    train = config.train
    length = documented.compute_run_length(dataset.num_train_sequences, train.batch_size * train.accumulation)
    if "train.num_reports" in given:
        length["num_reports"] = train.num_reports
    return config.replace(**{f"train.{name}": value for name, value in length.items()})


def _check_data_decide(config: RunConfig, overrides: Mapping[str, Any], dataset: Dataset) -> None:
    for name, value in overrides.items():
        section, _, field = qualify(name, config.family, config.task.name).partition(".")
        if section == "model" and dataset.model_fields.get(field, value) != value:
            raise ConfigError(
                name,
                value,
                f"must be {dataset.model_fields[field]}, as the task's data decide",
                "Leave it out",
            )


def _resume(
    source: Path, overrides: Mapping[str, Any], new_folder: Path | None
) -> tuple[str, Trainer, RunFolder]:
    for name, value in overrides.items():
        if name not in FREE_ON_RESUME:
            raise ConfigError(
                name, value,
                f"only out, read_test, push_to_hub, {', '.join(FREE_ON_RESUME)} may be given with resume",
                f"To train anew with other values, start from config={source / 'config.yaml'}",
            )  # fmt: skip
    state = checkpoint.load(source)
    config = RunConfig.from_dict(merge_overrides(state["config"], overrides))
    trainer = Trainer(config, open_data(config))
    trainer.load_state_dict(state)
    folder = RunFolder(source) if new_folder is None else RunFolder.create(new_folder)
    folder.write_reports(RunFolder(source).reports(last=trainer.reports_made))
    folder.write_config(trainer.config)
    return source.name, trainer, folder


def open_data(config: RunConfig) -> Dataset:
    """The run's data, made on first use."""
    with DataProgress() as progress:
        return open_task(config.task, progress)


def _default_folder(label: str, dataset: Dataset, base: Path) -> Path:
    name = re.sub(r"[^\w.-]+", "-", f"{label}-{dataset.name}-{time.strftime('%Y%m%d-%H%M%S')}")
    folder, number = base / name, 1
    while folder.exists():
        number += 1
        folder = base / f"{name}-{number}"
    return folder
