"""The examples in the docstrings of `analysis` hold, and every public function has one."""

from __future__ import annotations

import inspect
from importlib import import_module

import pytest

from tests.docstring_examples import run_examples

MODULES = ("comparison", "importance", "pareto", "scaling", "statistics")
NEED_A_FOLDER = {"write_pareto", "build_point", "read_config_without_seed"}
"""Functions that take a sweep's folder or a row of its tables; tests of the report call them."""


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    module = import_module(f"sweeps.analysis.{name}")
    run_examples(module)
    functions = [
        function
        for function_name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not function_name.startswith("_")
    ]
    without = {function.__name__ for function in functions if ">>>" not in (function.__doc__ or "")}
    assert without <= NEED_A_FOLDER
