"""The examples in the docstrings of `search` hold, and every public function has one."""

from __future__ import annotations

import doctest
import inspect
from importlib import import_module

import pytest

import sweeps.config
from sweeps.search.pruners import PRUNERS
from sweeps.search.samplers import SAMPLERS

MODULES = (
    "constrained_sampler",
    "fast_tpe",
    "objectives",
    "pareto_front",
    "pruners",
    "samplers",
    "seeds",
    "storage",
    "study",
)
REGISTERED = {*PRUNERS.values(), *(entry.build for entry in SAMPLERS.values())}
"""Their docstrings are the user's documentation, and `test_options_page.py` sees to them."""
NEED_A_STUDY = {"show_rejections", "write_values", "is_comparable"}
"""Functions that take a study's trials and candidates; their own tests call them."""


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    module = import_module(f"sweeps.search.{name}")
    found = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert found.attempted > 0 and found.failed == 0
    functions = [
        function
        for _, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not function.__name__.startswith("_")
    ]
    public = [function for function in functions if function not in REGISTERED]
    without = {function.__name__ for function in public if ">>>" not in (function.__doc__ or "")}
    assert without <= NEED_A_STUDY


def test_examples_of_the_configuration_hold() -> None:
    found = doctest.testmod(sweeps.config)
    assert found.attempted > 0 and found.failed == 0
