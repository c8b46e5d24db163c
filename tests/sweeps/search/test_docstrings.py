"""The examples in the docstrings of `search` hold, and every public function and class has one."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import pytest

import sweeps.config
import sweeps.search
from sweeps.search.pruners import PRUNERS
from sweeps.search.samplers import SAMPLERS
from tests.docstring_examples import list_without_example, run_examples

REGISTERED = {build.__name__ for build in [*PRUNERS.values(), *(entry.build for entry in SAMPLERS.values())]}
"""Their docstrings are the user's documentation, and `test_options_page.py` sees to them."""
PLAIN_DATA = {"InfeasibleProposal", "SamplerContext", "SamplerEntry"}
"""Classes without a method to call."""


@pytest.mark.parametrize("name", [module.name for module in pkgutil.iter_modules(sweeps.search.__path__)])
def test_examples_hold(name: str) -> None:
    module = import_module(f"sweeps.search.{name}")
    run_examples(module)
    assert list_without_example(module) <= PLAIN_DATA | REGISTERED


def test_examples_of_the_configuration_hold() -> None:
    run_examples(sweeps.config)
