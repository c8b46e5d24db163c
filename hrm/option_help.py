"""Help text of configuration: each dataclass field with its default and its docstring."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Collection
from typing import NamedTuple


class Option(NamedTuple):
    """What help says of an option."""

    name: str
    """With its section."""
    default: str
    """As YAML has it."""
    meaning: str


def field_docs(cls: type) -> dict[str, str]:
    """The string under each field in the source of a dataclass, its bases first; "" where there is none."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if dataclasses.is_dataclass(base):
            docs |= _own_field_docs(base)
    return {field.name: docs.get(field.name, "") for field in dataclasses.fields(cls)}


def _own_field_docs(cls: type) -> dict[str, str]:
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


def options(cls: type, section: str = "", skip: Collection[str] = ()) -> list[Option]:
    """One a field not in `skip`."""
    docs = field_docs(cls)
    prefix = f"{section}." if section else ""
    return [
        Option(f"{prefix}{field.name}", shown(field.default), docs[field.name])
        for field in dataclasses.fields(cls)
        if field.name not in skip
    ]


def option_lines(cls: type, section: str = "", skip: Collection[str] = (), width: int = 100) -> str:
    """A paragraph an option: `section.name=default`, meaning; `width` characters wide."""
    lines = []
    for option in options(cls, section, skip):
        head = f"  {option.name}={option.default}"
        lines.append(
            textwrap.fill(option.meaning, width, initial_indent=f"{head:<38}  ", subsequent_indent=" " * 40)
            or head
        )
    return "\n".join(lines)


def shown(value: object) -> str:
    """A value as YAML has it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def listing(entries: dict[str, str]) -> str:
    """One line a name with what it is."""
    width = max(map(len, entries), default=0)
    return "\n".join(f"  {name:<{width}}  {summary}" for name, summary in entries.items())
