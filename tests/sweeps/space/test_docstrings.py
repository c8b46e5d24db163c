"""The examples in the docstrings of `space` hold, and every public function and class has one."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import pytest

import sweeps.space
from tests.docstring_examples import list_without_example, run_examples

PLAIN_DATA = {"Candidate", "Constraint", "PresetFit", "Resolved", "Shapes"}
"""Classes without a method to call."""


@pytest.mark.parametrize("name", [module.name for module in pkgutil.iter_modules(sweeps.space.__path__)])
def test_examples_hold(name: str) -> None:
    module = import_module(f"sweeps.space.{name}")
    run_examples(module)
    assert list_without_example(module) <= PLAIN_DATA
