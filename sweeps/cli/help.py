"""What `run_sweep.py --help` prints: every choice, and every option with its default."""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from hrm.config.command_line import (
    Option,
    describe_task_options,
    format_listing,
    format_options,
    format_task_options,
    format_value,
    list_options,
    summarize_tasks,
)
from hrm.config.errors import UserError
from hrm.config.presets import list_presets, load_preset
from hrm.models.registry import get_family, list_families
from sweeps.cli.compose import GROUPS, SHORTHANDS, defaults
from sweeps.config import SweepConfig
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
    presets = {name: load_preset(name).summary for name in list_presets()}
    return "\n\n".join(
        [
            _USAGE,
            f"Spaces (space=...)\n{format_listing(_questions())}",
            f"Tasks (task=...)\n{format_listing(summarize_tasks())}",
            f"Presets (baseline.presets=[...], budget.max_params=...)\n{format_listing(presets)}",
            f"Samplers (sampler=...)\n{format_listing(_summaries(samplers))}",
            f"Pruners (pruner=...)\n{format_listing(_summaries(PRUNERS))}",
            f"Options\n{format_options(SweepConfig, skip=(*GROUPS, 'model', *sections))}",
            *(f"{name}.*\n{format_options(hints[name], name)}" for name in sections),
            f"sampler.*\n{format_listing(_options(samplers))}",
            f"pruner.*\n{format_listing(_options(PRUNERS))}",
            *(f"task.* of {name}\n{options}" for name, options in format_task_options().items()),
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
        name: ", ".join(f"{option}={format_value(value)}" for option, value in given.items())
        for name, given in options.items()
        if given
    }


_HEAD = """\
# Options

Every option of `run_sweep.py`, given as `name=value`. A space may set its own defaults in its `run:` section; the
command line wins over it. `python run_sweep.py --help` lists them in the terminal, with spaces, tasks and presets.
This page is made by `python -m sweeps.cli.help > docs/options.md`.

- `space=` is a name or the path of a YAML file, `task=` a name or a path; `sampler=` and `pruner=` are names of the
  tables below.
- `resume=DIR` goes on with the sweep in a folder, `extend=N` beside it adds N search trials to it.
- In short: {shorthands}.
- Several values, with `-m`, are several sweeps, each in a folder of its own: `-m seed=0,1`.
"""
_MORE = {
    "budget": "budgets.md",
    "stop": "budgets.md",
    "resources": "cluster.md",
    "ray": "cluster.md",
    "wandb": "wandb.md",
}
"""Where a section's long form is."""
_SAMPLERS = """\
The default is `{default}`. All propose only what keeps the budget and is new: [how good they are](search-quality.md),
[how they learn the budget](budgets.md)."""
_PRUNERS = """\
The default is `{default}`. Trials are compared at the same report, 1 to `train.num_reports`; more on
[pruning](pruning.md), and [which pruner finds most](pruning.md#which-pruner-finds-most)."""
_ARGUMENT = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


@dataclass(frozen=True)
class Described:
    """What the docstring of a sampler or pruner says: a line, when to take it, and its options."""

    summary: str
    when: str
    arguments: Mapping[str, str]

    @classmethod
    def of(cls, build: Callable[..., Any]) -> Described:
        text, _, arguments = (inspect.getdoc(build) or "").partition("\n\nArgs:\n")
        summary, _, when = text.partition("\n\n")
        meanings = {name: _sentence(said) for name, said in _ARGUMENT.findall(arguments)}
        return cls(summary, " ".join(when.split()), meanings)


def page() -> str:
    """The whole of it."""
    hints = get_type_hints(SweepConfig)
    sections: dict[str, type] = {
        name: cls for name, cls in hints.items() if isinstance(cls, type) and dataclasses.is_dataclass(cls)
    }
    shorthands = ", ".join(f"`{name}=` is `{option}=`" for name, option in SHORTHANDS.items())
    samplers = {name: entry.build for name, entry in SAMPLERS.items()}
    start = SweepConfig(space={})
    parts = [
        _HEAD.format(shorthands=shorthands),
        "## The sweep\n",
        _list_options(list_options(SweepConfig, skip=(*GROUPS, "model", *sections))),
    ]
    for name, cls in sections.items():
        more = f"[More]({_MORE[name]})\n\n" if name in _MORE else ""
        parts += [f"## `{name}.*`\n", more + _list_options(list_options(cls, name))]
    parts += _choices("sampler", samplers, _SAMPLERS.format(default=start.sampler["name"]))
    parts += _choices("pruner", PRUNERS, _PRUNERS.format(default=start.pruner["name"]))
    for name, said in describe_task_options(
        lambda cls: _list_options(list_options(cls, "task", skip=["name"]))
    ).items():
        parts += [f"## `task.*` of `{name}`\n", f"{said.strip()}\n"]
    for name in list_families():
        parts += [
            f"## `model.*`, family `{name}`\n",
            _list_options(list_options(get_family(name).config_class, "model")),
        ]
    return "\n".join(parts)


def _choices(group: str, builders: Mapping[str, Callable[..., Any]], said: str) -> list[str]:
    """The sections of samplers or pruners: what each is and when to take it, then their options."""
    described = {name: Described.of(build) for name, build in builders.items()}
    rows = [
        (f"`{name}`", f"`{option}`", f"`{format_value(default)}`", described[name].arguments[option])
        for name, build in builders.items()
        for option, default in defaults(build).items()
    ]
    return [
        f"## {group.capitalize()}s\n",
        f"{said}\n",
        _table(
            (f"`{group}=`", "what it does", "when to take it"),
            [(f"`{name}`", one.summary, one.when) for name, one in described.items()],
        ),
        _table((f"`{group}=`", f"`{group}.*`", "default", "meaning"), rows),
    ]


def _sentence(text: str) -> str:
    """On one line, with a capital."""
    words = " ".join(text.split())
    return words[:1].upper() + words[1:]


def _list_options(those: Iterable[Option]) -> str:
    rows = [(f"`{one.name}`", f"`{one.default}`", one.meaning) for one in those]
    return _table(("option", "default", "meaning"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(page())
