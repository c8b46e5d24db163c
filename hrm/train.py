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

_USAGE = """\
Trains one model and leaves its checkpoint, metrics, config and weights in a folder.

  python -m hrm.train preset=tiny_demo task=sudoku4
  python -m hrm.train preset=tiny_demo task=sudoku6 hidden_size=96 num_heads=6 train.steps=2000 lr=1e-3
  python -m hrm.train preset=text_1m               a text model, on the plays that come along
  python -m hrm.train config=best.yaml seed=1      train a dumped config, or a sweep's winner, again
  python -m hrm.train resume=DIR                   go on from a run's checkpoint

Options are name=value. A field's name may stand alone (hidden_size=96) or with its section
(model.hidden_size=96; arch.hidden_size=96 is the same).

  preset=NAME      start from a preset's model (default: the official defaults)
  config=FILE      start from a config file
  resume=DIR       go on with the run in DIR; only out, read_test, push_to_hub, device
                   and threads may be given
  out=DIR          where to write (default: the preset's own folder, or <model>-<task>-<time>, in output_base)
  output_base=DIR  root of these folders (default: the environment's OUTPUT_BASE, or outputs/train)
  read_test=true   evaluate the test split, once, after the last step (default: false)
  push_to_hub=true publish the finished run on the Hugging Face hub under the preset's name there, or under
                   push_to_hub=NAME or OWNER/NAME; asks for a token (HF_TOKEN) before it trains
"""


def format_help() -> str:
    """Return the help on the command line, with every option."""
    presets = {name: load_preset(name).summary for name in list_presets()}
    return "\n".join(
        [
            _USAGE,
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
    from hrm.training.run import run_command

    return run_command(arguments)


def run_program() -> int:
    """Run the command line of this process and return its exit code."""
    return run_cli(main)


if __name__ == "__main__":
    sys.exit(run_program())
