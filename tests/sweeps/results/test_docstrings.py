"""Examples in docstrings of results, execution and callbacks."""

from __future__ import annotations

from types import ModuleType

import pytest

from sweeps.callbacks.wandb import session
from sweeps.execution import trial
from sweeps.results import schema, tables
from tests.docstring_examples import run_examples


@pytest.mark.parametrize("module", [schema, session, tables, trial], ids=lambda module: module.__name__)
def test_examples_are_right(module: ModuleType) -> None:
    run_examples(module)
