"""The examples in the docstrings of `search` hold, and every public function and class has one."""

from __future__ import annotations

import doctest
import inspect
import pkgutil
from importlib import import_module

import pytest

import sweeps.config
import sweeps.search
from sweeps.search.pruners import PRUNERS
from sweeps.search.samplers import SAMPLERS

REGISTERED = {*PRUNERS.values(), *(entry.build for entry in SAMPLERS.values())}
"""Their docstrings are the user's documentation, and `test_options_page.py` sees to them."""
PLAIN_DATA = {"InfeasibleProposal", "SamplerContext", "SamplerEntry"}
"""Classes without a method to call."""


@pytest.mark.parametrize("name", [module.name for module in pkgutil.iter_modules(sweeps.search.__path__)])
def test_examples_hold(name: str) -> None:
    module = import_module(f"sweeps.search.{name}")
    found = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert found.attempted > 0 and found.failed == 0
    without = {
        member.__name__
        for _, member in inspect.getmembers(
            module, lambda one: inspect.isfunction(one) or inspect.isclass(one)
        )
        if member.__module__ == module.__name__ and not member.__name__.startswith("_")
        if member not in REGISTERED and ">>>" not in inspect.getsource(member)
    }
    assert without <= PLAIN_DATA


def test_examples_of_the_configuration_hold() -> None:
    found = doctest.testmod(sweeps.config)
    assert found.attempted > 0 and found.failed == 0
