"""docs/options.md: every option of run_sweep.py, from where `--help` has them too.

python -m sweeps.doors.options_page > docs/options.md
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from hrm.families import family, family_names
from hrm.option_help import Option, options, shown
from hrm.task_help import task_options
from sweeps.config import SweepConfig
from sweeps.doors.compose import SHORTHANDS
from sweeps.doors.groups import GROUPS, defaults
from sweeps.search.pruners import PRUNERS
from sweeps.search.samplers import SAMPLERS

_HEAD = """\
# Options

Every option of `run_sweep.py`, given as `name=value`. A space may set its own defaults in its `run:` section; the
command line wins over it. `python run_sweep.py --help` lists them in the terminal, with spaces, tasks and presets.
This page is made by `python -m sweeps.doors.options_page > docs/options.md`.

- `space=` is a name or the path of a YAML file, `task=` a name or a path; `sampler=` and `pruner=` are names of the
  tables below.
- `resume=DIR` goes on with the sweep in a folder, `extend=N` beside it adds N search trials to it.
- In short: {shorthands}.
- Several values, with `-m`, are several sweeps, each in a folder of its own: `-m seed=0,1`.
"""
_MORE = {
    "budget": "budgets.md",
    "stop": "budgets.md",
    "pruning": "pruning.md",
    "resources": "cluster.md",
    "ray": "cluster.md",
    "wandb": "wandb.md",
}
"""Where a section's long form is."""
_SAMPLERS = """\
The default is `{default}`. All propose only what keeps the budget and is new: [how good they are](search-quality.md),
[how they learn the budget](budgets.md)."""
_PRUNERS = """\
The default is `{default}`. A mark is a report, 1 to `train.num_reports`, or an amount of another
[`pruning.fidelity`](pruning.md); [which of them finds most](pruning.md#which-pruner-finds-most)."""
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
        _options(options(SweepConfig, skip=(*GROUPS, "model", *sections))),
    ]
    for name, cls in sections.items():
        more = f"[More]({_MORE[name]})\n\n" if name in _MORE else ""
        parts += [f"## `{name}.*`\n", more + _options(options(cls, name))]
    parts += _choices("sampler", samplers, _SAMPLERS.format(default=start.sampler["name"]))
    parts += _choices("pruner", PRUNERS, _PRUNERS.format(default=start.pruner["name"]))
    for name, said in task_options(lambda cls: _options(options(cls, "task", skip=["name"]))).items():
        parts += [f"## `task.*` of `{name}`\n", f"{said.strip()}\n"]
    for name in family_names():
        parts += [f"## `model.*`, family `{name}`\n", _options(options(family(name).config_class, "model"))]
    return "\n".join(parts)


def _choices(group: str, builders: Mapping[str, Callable[..., Any]], said: str) -> list[str]:
    """The sections of samplers or pruners: what each is and when to take it, then their options."""
    described = {name: Described.of(build) for name, build in builders.items()}
    rows = [
        (f"`{name}`", f"`{option}`", f"`{shown(default)}`", described[name].arguments[option])
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


def _options(those: Iterable[Option]) -> str:
    rows = [(f"`{one.name}`", f"`{one.default}`", one.meaning) for one in those]
    return _table(("option", "default", "meaning"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(page())
