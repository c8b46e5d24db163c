"""What `run_sweep.py --help` prints: every choice, and every option with its default."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from hrm.errors import UserError
from hrm.option_help import listing, option_lines, shown
from hrm.presets import load_preset, preset_names
from hrm.task_help import task_option_lines, task_summaries
from sweeps.config import SweepConfig
from sweeps.doors.groups import GROUPS, defaults
from sweeps.search.pruners import PRUNERS
from sweeps.search.samplers import SAMPLERS
from sweeps.space.space import find_spaces, load_space

_USAGE = """\
Finds the best Hierarchical Reasoning Model under an exact parameter budget.

  python run_sweep.py space=depth_vs_width                      the default run
  python run_sweep.py space=cycles num_trials=8 out=DIR         options are name=value
  python run_sweep.py space=my_question.yaml dry_run=true       your own space; only count it
  python run_sweep.py space=expansion task=PATH                 your own data
  python run_sweep.py -m space=depth_vs_width,cycles seed=0,1   several sweeps, each in a folder of out=DIR
  python run_sweep.py resume=DIR                                go on with a sweep that was stopped
  python run_sweep.py resume=DIR extend=16                      and add 16 search trials

A space sets its own defaults for task, budget and training; the command line wins over it."""

_MODEL = "fields of the model that hold in every arm, presets included; python -m hrm.train --help lists them"


def help_text() -> str:
    hints = get_type_hints(SweepConfig)
    sections = [name for name, cls in hints.items() if dataclasses.is_dataclass(cls)]
    samplers = {name: entry.build for name, entry in SAMPLERS.items()}
    presets = {name: load_preset(name).summary for name in preset_names()}
    return "\n\n".join(
        [
            _USAGE,
            f"Spaces (space=...)\n{listing(_questions())}",
            f"Tasks (task=...)\n{listing(task_summaries())}",
            f"Presets (baseline.presets=[...], budget.max_params=...)\n{listing(presets)}",
            f"Samplers (sampler=...)\n{listing(_summaries(samplers))}",
            f"Pruners (pruner=...)\n{listing(_summaries(PRUNERS))}",
            f"Options\n{option_lines(SweepConfig, skip=(*GROUPS, 'model', *sections))}",
            *(f"{name}.*\n{option_lines(hints[name], name)}" for name in sections),
            f"sampler.*\n{listing(_options(samplers))}",
            f"pruner.*\n{listing(_options(PRUNERS))}",
            *(f"task.* of {name}\n{options}" for name, options in task_option_lines().items()),
            f"model.*\n  {_MODEL}",
            "Hydra's own flags, such as --cfg job and --multirun: python run_sweep.py --hydra-help",
        ]
    )


def _questions() -> dict[str, str]:
    questions = {}
    for name, path in find_spaces().items():
        try:
            questions[name] = load_space(str(path))["question"]
        except UserError as error:
            questions[name] = f"(cannot be read: {error})"
    return questions


def _summaries(builders: Mapping[str, Callable[..., Any]]) -> dict[str, str]:
    """First lines of docstrings."""
    return {name: (inspect.getdoc(build) or "").splitlines()[0] for name, build in builders.items()}


def _options(builders: Mapping[str, Callable[..., Any]]) -> dict[str, str]:
    """Options with their defaults, of those that have any."""
    options = {name: defaults(build) for name, build in builders.items()}
    return {
        name: ", ".join(f"{option}={shown(value)}" for option, value in given.items())
        for name, given in options.items()
        if given
    }
