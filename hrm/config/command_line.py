"""Command lines: how they end, and their help text from the docstrings under dataclass fields."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import os
import sys
import textwrap
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from hrm.config.errors import UserError
from hrm.data.registry import PATH_TASKS, TASKS

USER_ERROR = 2
INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""
PIPE_CLOSED = 141
"""128 + SIGPIPE: the reader (`| head`) has left, which is no error."""


def run_cli(main: Callable[[list[str]], int | None], arguments: Sequence[str] | None = None) -> int:
    """Run `main` on a command line; use as `sys.exit(run_cli(main))`.

    Args:
        main: takes the command line without the program's name; returns an exit code, None meaning 0.
        arguments: the command line; None is this process's own.

    Returns:
        The exit code: `main`'s own, 2 after a `UserError` (printed as one message), 130 after Ctrl-C, 141 when the
        pipe that we print to was closed. Any other exception is a fault of the program and keeps its traceback.
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


def asks_for_help(arguments: Sequence[str]) -> bool:
    """Check whether the command line is empty or holds `-h` or `--help`."""
    return not arguments or not {"-h", "--help"}.isdisjoint(arguments)


class Option(NamedTuple):
    """An option as help shows it."""

    name: str
    """With its section."""
    default: str
    """As in YAML."""
    meaning: str


def list_options(cls: type, section: str = "", skip: Collection[str] = ()) -> list[Option]:
    """Return an option for each field of a dataclass that is not in `skip`."""
    docs = read_field_docs(cls)
    prefix = f"{section}." if section else ""
    return [
        Option(f"{prefix}{field.name}", format_value(field.default), docs[field.name])
        for field in dataclasses.fields(cls)
        if field.name not in skip
    ]


def read_field_docs(cls: type) -> dict[str, str]:
    """Return the string under each field in the source of a dataclass and its bases; "" where there is none.

    A field that no source spells out has it as `metadata["help"]`.
    """
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if dataclasses.is_dataclass(base):
            docs |= _read_own_field_docs(base)
    return {field.name: docs.get(field.name, "") for field in dataclasses.fields(cls)}


def _read_own_field_docs(cls: type) -> dict[str, str]:
    fields = dataclasses.fields(cls)
    if fields and all("help" in field.metadata for field in fields):
        return {field.name: field.metadata["help"] for field in fields}
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(definition, ast.ClassDef)
    docs = {}
    for field, below in zip(definition.body, definition.body[1:]):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                docs[name] = " ".join(text.split())
    return docs


def format_options(cls: type, section: str = "", skip: Collection[str] = (), width: int = 100) -> str:
    """Return a paragraph for each option: `section.name=default` and its meaning, `width` characters wide."""
    lines = []
    for option in list_options(cls, section, skip):
        head = f"  {option.name}={option.default}"
        lines.append(
            textwrap.fill(option.meaning, width, initial_indent=f"{head:<38}  ", subsequent_indent=" " * 40)
            or head
        )
    return "\n".join(lines)


def format_value(value: object) -> str:
    """Return a value as it reads in YAML.

    >>> [format_value(value) for value in (None, True, 0.5)]
    ['null', 'true', '0.5']
    """
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def format_listing(entries: Mapping[str, str]) -> str:
    """Return one line for each name and its summary."""
    width = max(map(len, entries), default=0)
    return "\n".join(f"  {name:<{width}}  {summary}" for name, summary in entries.items())


def summarize_tasks() -> dict[str, str]:
    """Return a line for each task, and for each kind of path."""
    return {name: task.summary for name, task in (TASKS | PATH_TASKS).items()}


def describe_task_options(describe: Callable[[type], str]) -> dict[str, str]:
    """Return the help on the options of each task, and of each kind of path.

    Args:
        describe: returns the help on a config class. A class that differs from an earlier one in its defaults only
            is described by those defaults.
    """
    described: dict[str, type] = {}
    texts = {}
    for name, cls in (TASKS | PATH_TASKS).items():
        alike = [other for other in described if read_field_docs(described[other]) == read_field_docs(cls)]
        if alike:
            texts[name] = f"  those of {alike[0]}, but {_format_other_defaults(cls, described[alike[0]])}"
        else:
            described[name], texts[name] = cls, describe(cls)
    return texts


def format_task_options() -> dict[str, str]:
    """Return the help on the options of each task as lines for a terminal."""
    return describe_task_options(lambda cls: format_options(cls, "task", skip=["name"]))


def _format_other_defaults(cls: type, like: type) -> str:
    pairs = zip(dataclasses.fields(cls), dataclasses.fields(like))
    changed = [own for own, other in pairs if own.name != "name" and own.default != other.default]
    return " ".join(f"task.{field.name}={format_value(field.default)}" for field in changed)
