"""Train one model: `python -m hrm.train preset=tiny_demo task=sudoku4`; `--help` lists the options."""

from __future__ import annotations

import sys

from hrm.config.command_line import (
    asks_for_help,
    format_listing,
    format_options,
    format_task_options,
    run_cli,
    summarize_tasks,
)
from hrm.config.presets import list_presets, load_preset
from hrm.config.run_config import DEFAULT_TASK, RunConfig
from hrm.config.train_config import TrainConfig
from hrm.models.registry import get_family, list_families
from hrm.training.options import RunOptions, read_options

_USAGE = """\
Trains one model and leaves its checkpoint, metrics, config and weights in a folder.

  python -m hrm.train preset=tiny_demo task=sudoku4
  python -m hrm.train preset=tiny_demo task=sudoku6 hidden_size=96 num_heads=6 train.steps=2000 lr=1e-3
  python -m hrm.train preset=text_1m               a text model, on the plays that are installed
  python -m hrm.train config=best.yaml seed=1      train a dumped config, or a sweep's winner, again
  python -m hrm.train resume=DIR                   continue from a run's checkpoint

Options are name=value. A field's name may stand alone (hidden_size=96) or with its section
(model.hidden_size=96; arch.hidden_size=96 is the same).
"""


def format_help() -> str:
    """Return the help on the command line, with every option."""
    presets = {name: load_preset(name).summary for name in list_presets()}
    return "\n".join(
        [
            _USAGE,
            format_options(RunOptions) + "\n",
            "Presets:\n" + format_listing(presets) + "\n",
            f"Tasks (default {DEFAULT_TASK}):\n" + format_listing(summarize_tasks()) + "\n",
            "Run:\n" + format_options(RunConfig, skip=("family", "model", "task", "train")) + "\n",
            "Training:\n" + format_options(TrainConfig, "train") + "\n",
            *(f"Task, task={name}:\n{options}\n" for name, options in format_task_options().items()),
            *(
                f"Model, family={name}:\n{format_options(get_family(name).config_class, 'model')}\n"
                for name in list_families()
            ),
        ]
    )


def main(arguments: list[str]) -> int:
    """Train the model that the command line asks for.

    Returns:
        0; 1 when the run diverged or memory ran out; 128 + the signal's number when a signal stopped it.

    Raises:
        UserError: the command line, a file that it names, or the data are at fault.
    """
    if asks_for_help(arguments):
        print(format_help())
        return 0
    options, overrides = read_options(arguments)
    from hrm.training.run import (
        run_command,
    )  # imports torch, which help and malformed options need not wait for

    return run_command(options, overrides)


def run_program() -> int:
    """Run the command line of this process and return its exit code."""
    return run_cli(main)


if __name__ == "__main__":
    sys.exit(run_program())
