"""A training run of the command line, from its options to the files that it leaves."""

from __future__ import annotations

import os
import re
import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrm.config.errors import ConfigError
from hrm.config.presets import DocumentedSettings, Preset, load_preset
from hrm.config.run_config import RunConfig, merge_overrides, qualify, read_run_values
from hrm.data.base import Dataset
from hrm.data.registry import open_task
from hrm.models.base import Metrics
from hrm.system.device import is_out_of_memory
from hrm.system.signals import Stopped, StopSignals
from hrm.training.checkpoint import load_checkpoint
from hrm.training.options import RunOptions
from hrm.training.progress import DataProgress, ProgressReporter, format_metric
from hrm.training.publish import Publication
from hrm.training.run_folder import WEIGHTS, RunFolder
from hrm.training.trainer import Diverged, Trainer

FAILED = 1
OUTPUTS = Path("outputs/train")
OUTPUT_BASE = "OUTPUT_BASE"
"""Environment variable: the folder of output folders; the option `output_base` wins over it."""
SHOWN_METRICS = ("exact_accuracy", "blank_accuracy", "bits_per_byte", "perplexity", "loss")


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """A run that is ready to train."""

    label: str
    """Its model in a word: the name of a preset, of a config file, ..."""
    trainer: Trainer
    folder: RunFolder
    publication: Publication | None
    """Where the finished run is published, if anywhere."""


def run_command(options: RunOptions, overrides: Mapping[str, Any]) -> int:
    """Train what the command line asks for and return the exit code; see `hrm.train.main`."""
    try:
        run = start_run(options, overrides) if options.resume is None else resume_run(options, overrides)
        print(describe_run(run), flush=True)
        code = train_and_save(run.trainer, run.folder, options.read_test)
        if code == 0 and run.publication is not None:
            title = f"{run.label} on {run.trainer.dataset.name}"
            print(f"published at {run.publication.publish(run.folder.path, title)}")
        return code
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        advice = "try a smaller train.batch_size, train.eval_batch_size or model"
        print(f"error: out of memory; {advice}", file=sys.stderr)
        return FAILED


def start_run(options: RunOptions, overrides: Mapping[str, Any]) -> TrainingRun:
    """Open the data, build the trainer and create the folder of a new run.

    Raises:
        UserError: an option is wrong, or the data, the device or the folder cannot be used.
    """
    preset = None if options.preset is None else load_preset(options.preset)
    documented = None if preset is None else preset.documented
    label, config = build_run_config(options, preset, overrides)
    folder = choose_folder(options, documented, config)
    if folder is not None:
        RunFolder.check_new(folder)
    repo = None if documented is None else documented.format_hub_repo(name_data(config))
    publication = Publication.prepare(options.push_to_hub, repo)
    dataset = open_data(config)
    _check_fields_of_data(config, overrides, dataset)
    if documented is not None:
        config = set_documented_length(config, documented, overrides, dataset)
    trainer = Trainer(config, dataset)
    run_folder = RunFolder.create(folder or make_default_folder(options, label, dataset))
    run_folder.write_config(trainer.config)
    return TrainingRun(label=label, trainer=trainer, folder=run_folder, publication=publication)


def resume_run(options: RunOptions, overrides: Mapping[str, Any]) -> TrainingRun:
    """Load the trainer of a stopped run, and continue in its folder or in a new one.

    Raises:
        UserError: there is no run in the folder, or its data or device cannot be used.
    """
    source = RunFolder(Path(str(options.resume)))
    publication = Publication.prepare(options.push_to_hub, None)
    if options.out is not None:
        RunFolder.check_new(Path(options.out))
    state = load_checkpoint(source.path)
    config = RunConfig.from_dict(merge_overrides(state["config"], overrides))
    trainer = Trainer(config, open_data(config))
    trainer.load_state_dict(state)
    folder = source if options.out is None else RunFolder.create(Path(options.out))
    folder.replace_validations(source.read_validations(last=trainer.num_validations))
    folder.write_config(trainer.config)
    return TrainingRun(label=source.path.name, trainer=trainer, folder=folder, publication=publication)


def build_run_config(
    options: RunOptions, preset: Preset | None, overrides: Mapping[str, Any]
) -> tuple[str, RunConfig]:
    """Return a new run's label and its config, from a config file, a preset or the defaults.

    On a data set of the hub a preset trains on the documented percentage; a user's own text is taken whole.
    """
    if options.config is not None:
        path = Path(options.config)
        return path.stem, RunConfig.from_dict(merge_overrides(read_run_values(path), overrides))
    if preset is None:
        return "model", RunConfig.from_dict(merge_overrides({}, overrides))
    task = dict(preset.task)
    if preset.documented is not None and {"task.dataset", "dataset"} & overrides.keys():
        task["subset_percent"] = preset.documented.subset_percent
    values = {"family": preset.family, "model": preset.model, "train": preset.train, "task": task}
    return preset.name, RunConfig.from_dict(merge_overrides(values, overrides))


def choose_folder(
    options: RunOptions, documented: DocumentedSettings | None, config: RunConfig
) -> Path | None:
    """Return the folder that `out` or the preset's document names; None if neither does."""
    if options.out is not None:
        return Path(options.out)
    if documented is not None:
        return get_output_base(options) / documented.format_output_dir(name_data(config))
    return None


def make_default_folder(options: RunOptions, label: str, dataset: Dataset) -> Path:
    """Return a new folder named after model, task and time."""
    name = re.sub(r"[^\w.-]+", "-", f"{label}-{dataset.name}-{time.strftime('%Y%m%d-%H%M%S')}")
    folder, number = get_output_base(options) / name, 1
    while folder.exists():
        number += 1
        folder = folder.with_name(f"{name}-{number}")
    return folder


def get_output_base(options: RunOptions) -> Path:
    """Return the folder of output folders."""
    return Path(options.output_base or os.environ.get(OUTPUT_BASE) or OUTPUTS)


def name_data(config: RunConfig) -> str:
    """Return a short name of the training data: a data set of the hub, a text file, or the task."""
    task = config.task
    return str(getattr(task, "dataset", None) or getattr(task, "text", None) or task.name)


def set_documented_length(
    config: RunConfig, documented: DocumentedSettings, overrides: Mapping[str, Any], dataset: Dataset
) -> RunConfig:
    """Set the documented epochs and distance of validations, unless the command line has its own."""
    given = {qualify(name, config.family, config.task.name) for name in overrides}
    if dataset.num_train_sequences is None or given & {"train.steps", "train.max_flops"}:
        return config
    train = config.train
    length = documented.compute_run_length(dataset.num_train_sequences, train.batch_size * train.accumulation)
    if "train.num_reports" in given:
        length["num_reports"] = train.num_reports
    return config.replace(**{f"train.{name}": value for name, value in length.items()})


def _check_fields_of_data(config: RunConfig, overrides: Mapping[str, Any], dataset: Dataset) -> None:
    for name, value in overrides.items():
        section, _, field = qualify(name, config.family, config.task.name).partition(".")
        if section == "model" and dataset.model_fields.get(field, value) != value:
            rule = f"must be {dataset.model_fields[field]}, as the task's data decide"
            raise ConfigError(name, value, rule, "Leave it out")


def open_data(config: RunConfig) -> Dataset:
    """Open the run's data, which are prepared on first use."""
    with DataProgress() as progress:
        return open_task(config.task, progress)


def train_and_save(trainer: Trainer, folder: RunFolder, read_test: bool) -> int:
    """Train to the end, a signal or divergence, and write the results. Return the exit code."""
    # From the first step on the folder can be resumed, whenever the process dies.
    trainer.save(folder.path)
    try:
        train_to_end(trainer, folder)
        test = trainer.evaluate(trainer.dataset.test) if read_test else {}
    except Stopped as stopped:
        trainer.save(folder.path)
        folder.write_result(make_result(trainer, folder, "stopped", f"by {stopped.name}"))
        print(f"stopped by {stopped.name} after step {trainer.step}; to continue:")
        print(f"  python -m hrm.train resume={shlex.quote(str(folder.path))}")
        return stopped.exit_code
    except Diverged as diverged:
        folder.write_result(make_result(trainer, folder, "diverged", str(diverged)))
        print(f"diverged: {diverged}; try a smaller train.lr. Saved in {folder.path}", file=sys.stderr)
        return FAILED
    trainer.save_weights(folder.path / WEIGHTS)
    result = make_result(trainer, folder, "completed", None, test)
    folder.write_result(result)
    print(describe_result(result, folder))
    return 0


def train_to_end(trainer: Trainer, folder: RunFolder) -> None:
    """Train to the end; each validation is written, and after it the checkpoint.

    Raises:
        Diverged: see `Trainer.train_to_next_validation`.
        Stopped: a signal came; the trainer is intact, between two steps.
    """
    reporter = ProgressReporter(trainer.config.train.steps, trainer.step)
    with StopSignals() as signals, reporter:

        def on_step(step: int) -> None:
            reporter.on_step(step)
            signals.check()

        while not trainer.finished:
            validation = trainer.train_to_next_validation(on_step)
            folder.append_validation(validation)
            trainer.save(folder.path)
            reporter.on_validation(validation)


def describe_run(run: TrainingRun) -> str:
    """Return what is about to be trained, and where it is written."""
    trainer = run.trainer
    train, dataset = trainer.config.train, trainer.dataset
    flops = train.max_flops or train.steps * trainer.counts.flops_per_step
    accumulated = f"{train.accumulation} x " if train.accumulation > 1 else ""
    lines = [
        f"{run.label} on {dataset.name}: {trainer.counts.params:,} parameters, {train.steps} steps of "
        f"{accumulated}{train.batch_size} sequences, {flops:.3g} training FLOPs, on {trainer.device.type}",
        f"writing to {run.folder.path}",
    ]
    if trainer.step:
        lines.append(f"resuming after step {trainer.step}")
    if not dataset.supports_verdict:
        lines.append(f"{dataset.name} is a smoke test: it must not decide between architectures")
    return "\n".join(lines)


def make_result(
    trainer: Trainer, folder: RunFolder, status: str, reason: str | None, test: Metrics | None = None
) -> dict[str, Any]:
    """Return how the run ended, what it spent, and its last metrics."""
    rows = folder.read_validations(last=trainer.num_validations)
    metrics = {name: value for name, value in rows[-1].items() if "/" in name} if rows else {}
    return {
        "status": status,
        "reason": reason,
        "params": trainer.counts.params,
        "step": trainer.step,
        "train_flops": trainer.train_flops,
        "eval_flops": trainer.eval_flops,
        "train_seconds": trainer.train_seconds,
        "eval_seconds": trainer.eval_seconds,
        **metrics,
        **{f"test/{name}": value for name, value in (test or {}).items()},
    }


def describe_result(result: Mapping[str, Any], folder: RunFolder) -> str:
    """Return the last metrics of each split, and where they are saved."""
    lines = []
    for split in ("valid", "test"):
        metrics = {name: result[f"{split}/{name}"] for name in SHOWN_METRICS if f"{split}/{name}" in result}
        if any(value is not None for value in metrics.values()):
            shown = ", ".join(f"{name} {format_metric(value)}" for name, value in metrics.items())
            lines.append(f"{split}: {shown}")
    return "\n".join([*lines, f"saved in {folder.path}"])
