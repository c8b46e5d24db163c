"""The methods that the benchmark of efficiency times are there."""

from __future__ import annotations

import importlib

import pytest

from benchmarks.efficiency import WATCHED


@pytest.mark.parametrize("place", WATCHED.values(), ids=WATCHED)
def test_what_is_timed_exists(place: str) -> None:
    module, name, methods = place.split(":")
    watched = getattr(importlib.import_module(module), name)
    assert [method for method in methods.split() if not callable(getattr(watched, method, None))] == []
