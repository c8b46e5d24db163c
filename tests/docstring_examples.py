"""Runs the examples in a module's docstrings, and finds what has none."""

from __future__ import annotations

import doctest
import inspect
from types import ModuleType


def run_examples(module: ModuleType) -> None:
    """Fail unless the module has examples and all of them hold."""
    found = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert found.attempted > 0 and found.failed == 0


def list_without_example(module: ModuleType) -> set[str]:
    """Return the names of the module's own public functions and classes that have no example."""
    return {
        name
        for name, member in vars(module).items()
        if inspect.isfunction(member) or inspect.isclass(member)
        if member.__module__ == module.__name__ and not name.startswith("_")
        if ">>>" not in inspect.getsource(member)
    }
