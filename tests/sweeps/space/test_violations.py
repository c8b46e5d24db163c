"""How far a point is from being feasible; the rest of the resolver is tested through `Candidates`."""

from __future__ import annotations

import math

import pytest

from sweeps.space.resolver import INVALID
from tests.sweeps.small_sweep import candidates, space

LAYERS = {"H_layers": {"int": [1, 6]}, "L_layers": {"int": [1, 6]}}
FIXED = {"hidden_size": 80, "num_heads": 5, "H_cycles": 1, "L_cycles": 1}


def test_what_is_feasible_has_no_excess_and_all_else_has() -> None:
    found = candidates(space(LAYERS, fixed=FIXED), max_params=500_000, min_params=0.6)
    points = [{"H_layers": H, "L_layers": L} for H in range(1, 7) for L in range(1, 7)]
    fitting = [found.candidate(point) is not None for point in points]
    assert [found.compute_violation(point) <= 0 for point in points] == fitting
    assert 0 < sum(fitting) < len(points)


@pytest.mark.parametrize(("layers", "sign"), [(1, -1), (6, 1)])
def test_the_excess_is_the_logarithm_of_what_breaks_a_bound_most(layers: int, sign: int) -> None:
    point = {"H_layers": layers, "L_layers": layers}
    asked = space(LAYERS, fixed=FIXED)
    most, least = 500_000, 400_000
    bounded = candidates(asked, max_params=most, min_params=least)
    known = candidates(asked).candidate(point)
    assert known is not None
    bound = most if sign > 0 else least
    assert bounded.compute_violation(point) == pytest.approx(sign * math.log(known.num_params / bound))


def test_what_is_no_model_counts_as_twice_too_large() -> None:
    fixed = {"num_heads": 5, "H_layers": 1, "L_layers": 1}
    found = candidates(space({"hidden_size": [80, 84]}, fixed=fixed))
    assert found.compute_violation({"hidden_size": 80}) < 0
    assert found.compute_violation({"hidden_size": 84}) == math.log(INVALID)


def test_too_few_steps_at_equal_compute_are_an_excess() -> None:
    asked = space({"H_layers": [1, 64]}, fixed={**FIXED, "L_layers": 1})
    found = candidates(asked, train={"steps": 20, "num_reports": 20})
    costly = candidates(asked).candidate({"H_layers": 64})
    most = found.flops_budget.max_flops_per_step
    assert costly is not None and most is not None
    assert found.candidate({"H_layers": 64}) is None
    assert found.compute_violation({"H_layers": 64}) == pytest.approx(math.log(costly.flops_per_step / most))
