"""Examples in docstrings of results, execution and callbacks."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from sweeps.callbacks.wandb import session
from sweeps.execution import trial
from sweeps.results import schema, tables


@pytest.mark.parametrize("module", [schema, session, tables, trial], ids=lambda module: module.__name__)
def test_examples_are_right(module: ModuleType) -> None:
    found = doctest.testmod(module)
    assert found.attempted > 0 and found.failed == 0
