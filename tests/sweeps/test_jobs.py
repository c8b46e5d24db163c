"""How much of a run a report has behind it."""

from __future__ import annotations

from typing import Any

import pytest

from hrm.config.run_config import RunConfig
from sweeps.events import Job, Validation


def job(**train: Any) -> Job:
    values = {"family": "text", "model": {}, "task": {"name": "text"}, "train": {"steps": 40, **train}}
    return Job(
        number=0,
        kind="search",
        arm="trial 0",
        params={},
        run=RunConfig.from_dict(values),
        num_params=1,
        flops_per_step=100,
    )


def report(step: int, train_flops: int) -> Validation:
    return Validation(
        index=1, step=step, train_flops=train_flops, train_seconds=0.0, eval_seconds=0.0, metrics={}
    )


def test_a_fraction_of_the_steps() -> None:
    assert job().fraction_done(report(step=10, train_flops=900)) == pytest.approx(0.25)


def test_a_fraction_of_the_flops_where_these_end_the_run() -> None:
    assert job(max_flops=4000).fraction_done(report(step=60, train_flops=3000)) == pytest.approx(0.75)
