"""The training rules: ranges, warm-up, and the steps at which a run reports."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrm.config.errors import ConfigError
from hrm.config.train_config import TrainConfig


@given(steps=st.integers(1, 5000), data=st.data())
def test_reports_come_at_equal_fractions_and_end_with_the_run(steps: int, data: st.DataObject) -> None:
    num_reports = data.draw(st.integers(1, steps))
    list_report_steps = TrainConfig(steps=steps, num_reports=num_reports).list_report_steps()
    assert list_report_steps == [ceil(Fraction(steps * i, num_reports)) for i in range(1, num_reports + 1)]
    assert list_report_steps[-1] == steps
    assert len(set(list_report_steps)) == num_reports


def test_as_many_reports_as_steps_and_no_more() -> None:
    assert TrainConfig(steps=5, num_reports=5).list_report_steps() == [1, 2, 3, 4, 5]
    with pytest.raises(ConfigError, match=r"train\.num_reports: given 6; must be at most steps=5"):
        TrainConfig(steps=5, num_reports=6)


def test_warmup_in_steps_wins_over_the_fraction() -> None:
    assert TrainConfig(steps=1000, lr_warmup_fraction=0.1).warmup_steps == 100
    assert TrainConfig(steps=1000, lr_warmup_fraction=0.1, lr_warmup_steps=0).warmup_steps == 0


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("steps", [10], [9, 0, -1]),
        ("batch_size", [1], [0, -1]),
        ("num_reports", [1, 10], [0, 1001]),
        ("eval_batch_size", [1], [0]),
        ("accumulation", [1, 8], [0]),
        ("clip_norm", [0.0, 1.0], [-0.1]),
        ("max_flops", [None, 1], [0]),
        ("lr", [1e-30], [0.0, -1e-4]),
        ("puzzle_emb_lr", [1e-30], [0.0]),
        ("weight_decay", [0.0, 1.0], [-0.1]),
        ("puzzle_emb_weight_decay", [0.0], [-0.1]),
        ("beta1", [0.0, 0.999], [1.0, -0.1]),
        ("beta2", [0.0, 0.999], [1.0, -0.1]),
        ("ema", [0.0, 0.999], [1.0, -0.1]),
        ("lr_warmup_fraction", [0.0, 1.0], [-0.1, 1.1]),
        ("lr_min_ratio", [0.0, 1.0], [-0.1, 1.1]),
        ("lr_warmup_steps", [None, 0], [-1]),
    ],
)
def test_ranges(field: str, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        assert getattr(TrainConfig(**{field: value}), field) == value
    for value in bad:
        with pytest.raises(ConfigError, match=r"train\."):
            TrainConfig(**{field: value})
