"""The examples in the docstrings of `space` hold, and every public function and class has one."""

from __future__ import annotations

import doctest
import inspect
import pkgutil
from importlib import import_module

import pytest

import sweeps.space

PLAIN_DATA = {"Candidate", "Constraint", "PresetFit", "Resolved", "Shapes"}
"""Classes without a method to call."""


@pytest.mark.parametrize("name", [module.name for module in pkgutil.iter_modules(sweeps.space.__path__)])
def test_examples_hold(name: str) -> None:
    module = import_module(f"sweeps.space.{name}")
    found = doctest.testmod(module)
    assert found.attempted > 0 and found.failed == 0
    without = {
        member.__name__
        for _, member in inspect.getmembers(
            module, lambda one: inspect.isfunction(one) or inspect.isclass(one)
        )
        if member.__module__ == module.__name__ and not member.__name__.startswith("_")
        if ">>>" not in inspect.getsource(member)
    }
    assert without <= PLAIN_DATA
