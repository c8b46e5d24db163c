"""The verdict keeps its promises: it seldom tells identical arms apart and finds what it says it finds."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.verdict_power import (
    NOISES,
    SPREAD,
    compute_planted_difference,
    decide_by_welch,
    draw_scores,
    measure_detections,
    measure_false_alarms,
)

SWEEPS = 400


@pytest.mark.parametrize("noise", NOISES)
def test_noise_has_the_spread_it_is_said_to_have(noise: str) -> None:
    drawn = NOISES[noise](np.random.default_rng(0), (100_000,))
    assert abs(drawn.mean()) < 0.02 and drawn.std() == pytest.approx(1, abs=0.02)


def test_identical_arms_are_seldom_told_apart_and_planted_ones_found() -> None:
    """Each rate's 95% interval must hold the promise: at most 5%, and 80%."""
    normal, planted = NOISES["normal"], compute_planted_difference(3, SPREAD)
    alarms = measure_false_alarms(draw_scores(normal, 3, 0.0, 0.0, SPREAD, SWEEPS))
    assert alarms.interval[0] <= 0.05
    found = measure_detections(draw_scores(normal, 3, planted, 0.0, SPREAD, SWEEPS))
    assert found.interval[0] <= 0.8 <= found.interval[1]


def test_the_decision_is_made_for_each_finalist() -> None:
    near, far, baseline = [0.70, 0.71, 0.72], [0.90, 0.91, 0.92], [0.70, 0.71, 0.73]
    assert decide_by_welch(np.array([near, far, baseline])) == [False, True]
