"""Counts a model from its config alone: `python -m hrm.count preset=base_default`; `--help` says more."""

from __future__ import annotations

import sys
from typing import Any

from hrm.config.command_line import align_columns, format_listing, run_cli, summarize_tasks
from hrm.config.errors import ConfigError
from hrm.config.presets import Preset, list_presets, load_preset
from hrm.config.run_config import RunConfig, merge_overrides, qualify
from hrm.config.schema import parse_dotlist
from hrm.config.train_config import TrainConfig
from hrm.data.registry import get_task_kind
from hrm.models.counting import Counts
from hrm.models.registry import get_family, list_families
from hrm.system.units import format_bytes

_USAGE = f"""\
Counts a model exactly, from its config alone: parameters, FLOPs and bytes.

  python -m hrm.count preset=base_default
  python -m hrm.count hidden_size=384 num_heads=6 H_layers=3 L_layers=3
  python -m hrm.count preset=tiny_demo task=sudoku6 batch_size=64
  python -m hrm.count preset=text_tiny_50m task=text
  python -m hrm.count presets           every preset: what its document claims, and the exact count

Options are name=value. Any field of the model may be given, alone (hidden_size=384) or with its section
(model.hidden_size=384; arch.hidden_size=384 is the same); `python -m hrm.train --help` lists them.

  preset=NAME      start from a preset's model (default: the official defaults)
  task=NAME|PATH   the task's vocabulary, cells and puzzle identifiers (default, as the size guide has it:
                   vocabulary 11, 81 cells, one identifier)
  batch_size=N     sequences of a training step and of an evaluation batch (default: {TrainConfig.batch_size})
  accumulation=N   batches of a training step, of text models
  ema=DECAY        count the memory of averaged weights, too
"""
_COUNTED = ("train.batch_size", "train.accumulation", "train.ema")


def main(arguments: list[str]) -> int:
    """Prints the counts that the command line asks for. Returns 0.

    Raises:
        UserError: the command line or a file that it names is at fault.
    """
    if not arguments or {"-h", "--help"} & set(arguments):
        print(help_text())
    elif arguments == ["presets"]:
        print(presets_text())
    else:
        label, config = read_config(arguments)
        print(counts_text(label, config))
    return 0


def help_text() -> str:
    """Everything that the command line takes."""
    presets = {name: load_preset(name).summary for name in list_presets()}
    return f"{_USAGE}\nPresets:\n{format_listing(presets)}\n\nTasks:\n{format_listing(summarize_tasks())}"


def read_config(arguments: list[str]) -> tuple[str, RunConfig]:
    """What is to be counted: a label, and the config with the model as the task has it.

    Raises:
        UserError: an option is unknown, out of range, or changes no count.
    """
    options = parse_dotlist(arguments)
    preset = load_preset(str(options.pop("preset"))) if "preset" in options else None
    values: dict[str, Any] = {}
    if preset:
        values = {"family": preset.family, "model": preset.model, "train": _counted_training(preset)}
    config = RunConfig.from_dict(merge_overrides(values, options))
    given = {qualify(name, config.family, config.task.name): value for name, value in options.items()}
    for name, value in given.items():
        if not name.startswith(("model.", "task.")) and name not in (*_COUNTED, "family"):
            raise ConfigError(name, value, "changes no count", "Leave it out.")
    if any(name.startswith("task.") for name in given):
        decided = {f"model.{name}": value for name, value in _task_fields(config).items()}
        config = config.replace(**{**decided, **given})
    return _label(preset, options), config


def _counted_training(preset: Preset) -> dict[str, Any]:
    return {name: value for name, value in preset.train.items() if f"train.{name}" in _COUNTED}


def _task_fields(config: RunConfig) -> dict[str, Any]:
    fields = get_task_kind(config.task.name).counted_fields(config.task)
    if fields is None:
        raise ConfigError(
            "task", config.task.name, "has sizes that only its data tell",
            "Give vocab_size=, seq_len= and num_puzzle_identifiers= instead.",
        )  # fmt: skip
    return dict(fields)


def _label(preset: Preset | None, options: dict[str, Any]) -> str:
    parts = [preset.name] if preset else []
    return " ".join([*parts, *(f"{name}={value}" for name, value in options.items())])


def counts_text(label: str, config: RunConfig) -> str:
    """The counts of one model, for a terminal."""
    batch_size, kind = config.train.batch_size, get_family(config.family)
    counts: Counts = kind.count(config.model, batch_size, config.train)
    memory = {
        "weights": counts.weight_bytes,
        "gradients": counts.gradient_bytes,
        "optimizer": counts.optimizer_bytes,
        "activations": counts.activation_bytes,
        "total": counts.total_bytes,
    }
    face = kind.count_table()
    sections = {
        "Parameters": face.parameter_rows(config.model, counts),
        f"FLOPs, batch of {batch_size}{_accumulated(config)}": face.flops_rows(
            config.model, counts, config.train
        ),
        f"Bytes of training on a CPU, batch of {batch_size}, {config.model.forward_dtype} forward": [
            (name, f"{n:,}", format_bytes(n)) for name, n in memory.items()
        ],
    }
    blocks = [f"{title}\n{align_columns(rows)}" for title, rows in sections.items()]
    return "\n\n".join([f"{label}\n{face.model_text(config.model)}", *blocks])


def _accumulated(config: RunConfig) -> str:
    accumulation = config.train.accumulation
    return f" ({accumulation} of them a step)" if accumulation > 1 else ""


def presets_text() -> str:
    """Every preset, family by family, smallest first: what its document claims, and what was counted."""
    tables = []
    for name in list_families():
        presets = [load_preset(preset) for preset in list_presets(name)]
        tables.append(get_family(name).count_table().presets_text(presets))
    return "\n\n".join(tables)


if __name__ == "__main__":
    sys.exit(run_cli(main))
