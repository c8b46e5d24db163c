"""Count a model from its config alone: `python -m hrm.count preset=base_default`; `--help` says more."""

from __future__ import annotations

import sys
from typing import Any

from hrm.config.command_line import asks_for_help, format_listing, run_cli, summarize_tasks
from hrm.config.errors import ConfigError
from hrm.config.presets import Preset, list_presets, load_preset
from hrm.config.run_config import RunConfig, merge_overrides, qualify
from hrm.config.schema import parse_dotlist
from hrm.config.train_config import TrainConfig
from hrm.models.count_table import format_counts, format_presets
from hrm.models.registry import list_families

_USAGE = f"""\
Counts a model exactly, from its config alone: parameters, FLOPs and bytes.

  python -m hrm.count preset=base_default
  python -m hrm.count hidden_size=384 num_heads=6 H_layers=3 L_layers=3
  python -m hrm.count preset=tiny_demo task=sudoku6 batch_size=64
  python -m hrm.count preset=text_tiny_50m task=text
  python -m hrm.count presets           every preset: reported and exact parameters, FLOPs, bytes

Options are name=value. Any field of the model may be given, alone (hidden_size=384) or with its section
(model.hidden_size=384; arch.hidden_size=384 is the same); `python -m hrm.train --help` lists them.

  preset=NAME      start from a preset's model (default: the official defaults)
  task=NAME|PATH   the task's vocabulary, cells and puzzle identifiers (default, as in the size guide:
                   vocabulary 11, 81 cells, one identifier)
  batch_size=N     sequences of a training step and of an evaluation batch (default: {TrainConfig.batch_size})
  accumulation=N   batches of a training step, of text models
  ema=DECAY        count the memory of averaged weights, too
"""
_COUNTED = ("train.batch_size", "train.accumulation", "train.ema")


def main(arguments: list[str]) -> int:
    """Print the counts that the command line asks for; return 0.

    Raises:
        UserError: the command line or a file that it names is at fault.
    """
    if asks_for_help(arguments):
        presets = {name: load_preset(name).summary for name in list_presets()}
        print(f"{_USAGE}\nPresets:\n{format_listing(presets)}\n\nTasks:\n{format_listing(summarize_tasks())}")
    elif arguments == ["presets"]:
        print("\n\n".join(map(format_presets, list_families())))
    else:
        print(format_counts(*read_config(arguments)))
    return 0


def read_config(arguments: list[str]) -> tuple[str, RunConfig]:
    """Return a label for the model to count, and its config with the sizes of the task.

    Raises:
        UserError: an option is unknown, out of range, or changes no count.
    """
    options = parse_dotlist(arguments)
    label = " ".join(f"{name}={value}" for name, value in options.items())
    values: dict[str, Any] = {}
    if "preset" in options:
        preset = load_preset(str(options.pop("preset")))
        values = {"family": preset.family, "model": preset.model, "train": _select_counted(preset)}
    config = RunConfig.from_dict(merge_overrides(values, options))
    given = {qualify(name, config.family, config.task.name): value for name, value in options.items()}
    for name, value in given.items():
        if not name.startswith(("model.", "task.")) and name not in (*_COUNTED, "family"):
            raise ConfigError(name, value, "changes no count", "Leave it out.")
    if any(name.startswith("task.") for name in given):
        config = config.replace(**{**_read_task_sizes(config), **given})
    return label, config


def _select_counted(preset: Preset) -> dict[str, Any]:
    return {name: value for name, value in preset.train.items() if f"train.{name}" in _COUNTED}


def _read_task_sizes(config: RunConfig) -> dict[str, Any]:
    fields = config.task.get_model_fields()
    if fields is None:
        rule = "has sizes that only its data decide"
        hint = "Give vocab_size=, seq_len= and num_puzzle_identifiers= instead."
        raise ConfigError("task", config.task.name, rule, hint)
    return {f"model.{name}": value for name, value in fields.items()}


def run_program() -> int:
    """Run the command line of this process and return its exit code."""
    return run_cli(main)


if __name__ == "__main__":
    sys.exit(run_program())
