"""Searching: spaces, budgets, the Optuna study, Ray, results, comparison and reports.

`run` and `load` are the Python API (see `sweeps.api`). Importing this package imports neither torch nor Ray.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeps.api import load, run

__all__ = ["load", "run"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sweeps import api

    return getattr(api, name)
