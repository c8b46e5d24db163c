"""Help text of configuration: each dataclass field with its default and its docstring."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import os
import sys
import textwrap
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from hrm.config.errors import UserError
from hrm.data.registry import PATH_KINDS, TASKS


def align_columns(rows: Sequence[tuple[str, ...]], indent: str = "  ") -> str:
    """Columns side by side: the first flush left, the others flush right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:]))])
        for row in rows
    ]
    return "\n".join(indent + line.rstrip() for line in lines)


USER_ERROR = 2
INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""
PIPE_CLOSED = 141
"""128 + SIGPIPE: the reader (`| head`) has left, which is no fault."""


def run_cli(main: Callable[[list[str]], int | None], arguments: Sequence[str] | None = None) -> int:
    """Runs a door's `main` on its arguments; use as `sys.exit(run_cli(main))`.

    Args:
        main: takes the command line without the program's name; returns an exit code, None meaning 0.
        arguments: what to give it instead of this process's command line.

    Returns:
        The exit code: `main`'s own, 2 after a `UserError`, 130 after Ctrl-C, 141 when the pipe we print to
        was closed. Any other exception is our fault and keeps its traceback.
    """
    try:
        code = main(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Python flushes stdout once more at exit, which would print a second BrokenPipeError.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    return code or 0


class Option(NamedTuple):
    """What help says of an option."""

    name: str
    """With its section."""
    default: str
    """As YAML has it."""
    meaning: str


def read_field_docs(cls: type) -> dict[str, str]:
    """The string under each field in the source of a dataclass, its bases first; "" where there is none."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if dataclasses.is_dataclass(base):
            docs |= _own_field_docs(base)
    return {field.name: docs.get(field.name, "") for field in dataclasses.fields(cls)}


def _own_field_docs(cls: type) -> dict[str, str]:
    fields = dataclasses.fields(cls)
    if fields and all("help" in field.metadata for field in fields):
        return {field.name: field.metadata["help"] for field in fields}
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(definition, ast.ClassDef)
    docs = {}
    for field, below in zip(definition.body, definition.body[1:]):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            docs[field.target.id] = " ".join(str(below.value.value).split())
    return docs


def list_options(cls: type, section: str = "", skip: Collection[str] = ()) -> list[Option]:
    """One a field not in `skip`."""
    docs = read_field_docs(cls)
    prefix = f"{section}." if section else ""
    return [
        Option(f"{prefix}{field.name}", format_value(field.default), docs[field.name])
        for field in dataclasses.fields(cls)
        if field.name not in skip
    ]


def format_options(cls: type, section: str = "", skip: Collection[str] = (), width: int = 100) -> str:
    """A paragraph an option: `section.name=default`, meaning; `width` characters wide."""
    lines = []
    for option in list_options(cls, section, skip):
        head = f"  {option.name}={option.default}"
        lines.append(
            textwrap.fill(option.meaning, width, initial_indent=f"{head:<38}  ", subsequent_indent=" " * 40)
            or head
        )
    return "\n".join(lines)


def format_value(value: object) -> str:
    """A value as YAML has it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def format_listing(entries: dict[str, str]) -> str:
    """One line a name with what it is."""
    width = max(map(len, entries), default=0)
    return "\n".join(f"  {name:<{width}}  {summary}" for name, summary in entries.items())


def summarize_tasks() -> dict[str, str]:
    """A line for each task, and for each sort of path."""
    return {name: kind.summary for name, kind in (TASKS | PATH_KINDS).items()}


def describe_task_options(whole: Callable[[type], str]) -> dict[str, str]:
    """What help says of the options of each task, and of each sort of path.

    Args:
        whole: says it of a config class; where only defaults differ from those of a task before, they alone are
            said.
    """
    told: dict[str, type] = {}
    said = {}
    for name, kind in (TASKS | PATH_KINDS).items():
        cls = kind.config_class
        like = next((other for other in told if read_field_docs(told[other]) == read_field_docs(cls)), None)
        if like is None:
            told[name] = cls
            said[name] = whole(cls)
        else:
            said[name] = f"  those of {like}, but {_other_defaults(cls, told[like])}"
    return said


def format_task_options() -> dict[str, str]:
    """The same as lines for a terminal."""
    return describe_task_options(lambda cls: format_options(cls, "task", skip=["name"]))


def _other_defaults(cls: type, like: type) -> str:
    pairs = zip(dataclasses.fields(cls), dataclasses.fields(like))
    changed = [own for own, other in pairs if own.name != "name" and own.default != other.default]
    return " ".join(f"task.{field.name}={format_value(field.default)}" for field in changed)
