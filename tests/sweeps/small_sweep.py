"""A sweep's configuration for tests of spaces: a 6x6 Sudoku, a space given as its YAML has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hrm.data.registry import get_task_class
from sweeps.config import BaselineConfig, BudgetConfig, SweepConfig, SweepTrainConfig
from sweeps.space.candidates import Candidate, Candidates

TASK = {"name": "sudoku6"}


def space(parameters: Mapping[str, Any], **sections: Any) -> dict[str, Any]:
    return {"name": "asked", "question": "What is asked?", "parameters": dict(parameters), **sections}


def sweep(
    asked: Mapping[str, Any],
    *,
    max_params: int | str | None = None,
    min_params: int | float | str | None = None,
    train: Mapping[str, Any] | None = None,
    baselines: list[str] | None = None,
    **options: Any,
) -> SweepConfig:
    return SweepConfig(
        space=dict(asked),
        task=dict(TASK),
        budget=BudgetConfig(max_params=max_params, min_params=min_params),
        train=SweepTrainConfig(**{"steps": 600, **(train or {})}),
        baseline=BaselineConfig(presets=baselines),
        **options,
    )


def task_fields() -> Mapping[str, int]:
    fields = get_task_class(TASK["name"])().get_model_fields()
    assert fields is not None
    return fields


def candidates(asked: Mapping[str, Any], **options: Any) -> Candidates:
    return Candidates(sweep(asked, **options), task_fields())


def list_all(found: Candidates) -> list[Candidate]:
    assert found.num_feasible_trials is not None
    return [found.get(index) for index in range(found.num_feasible_trials)]
