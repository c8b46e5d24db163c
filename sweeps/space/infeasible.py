"""The error where nothing in a space may be trained: which bound is at fault, what is in reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sweeps.errors import BudgetError, SpaceError
from sweeps.space.budget import Bound, FlopsBudget
from sweeps.space.constraints import FLOPS_PER_STEP, Costs
from sweeps.space.resolver import Resolver

WIDTHS_TRIED = 64
"""Multiples of `head_size` among which a space that fills a budget must have a valid width."""


def explain_infeasibility(
    resolver: Resolver,
    points: Sequence[dict[str, Any]],
    bounds: Sequence[Bound],
    flops_budget: FlopsBudget,
    about: str,
) -> BudgetError | SpaceError:
    """Return the error for a space without a feasible point.

    Args:
        points: all points of the space, or a sample.
        bounds: the counted ones, upper bounds first.
        about: `about ` where the points are a sample, else empty.
    """
    space = resolver.space
    where, nothing = f"space {space.name}", "no point to train"
    multiples = range(1, WIDTHS_TRIED + 1) if space.filled else (None,)
    narrowest = next(filter(None, (list(resolver.count_valid(points, one)) for one in multiples)), None)
    if narrowest is None:
        first = {name: parameter.extremes()[0] for name, parameter in space.parameters.items()}
        return SpaceError(where, nothing, resolver.describe_fault(first))
    filled = list(resolver.count_valid(points)) if space.filled else narrowest
    # Upper bounds are checked at the narrowest widths. A filled width keeps them, where it is valid.
    kept: list[Bound] = []
    for bound in bounds:
        if bound.side == "min" and not filled:
            break
        costs = narrowest if bound.side == "max" else filled
        nearest = _find_nearest(costs, bound, kept)
        if not bound.holds({bound.constraint.name: nearest}):
            return _describe_unreachable(where, bound, nearest, kept, [*narrowest, *filled], about)
        kept.append(bound)
    if not filled:
        rule = "no width that fills the budget makes a valid model"
        return SpaceError(where, nothing, rule, "Derive from the width what has to divide it.")
    cheapest = _find_nearest(filled, Bound(FLOPS_PER_STEP, "max", 0), kept)
    reason = flops_budget.describe_violation(int(cheapest))
    hint = "Raise train.steps, lower train.num_reports, or compare at train.equal=steps."
    return SpaceError(where, nothing, f"even its cheapest model within the budget {reason}", hint)


def _find_nearest(costs: Sequence[Costs], bound: Bound, kept: Sequence[Bound]) -> float:
    """Return the cost nearest to keeping a bound, among the models that keep others, of which there is one."""
    choose = min if bound.side == "max" else max
    return choose(one[bound.constraint.name] for one in costs if all(other.holds(one) for other in kept))


def _describe_unreachable(
    where: str, bound: Bound, nearest: float, kept: Sequence[Bound], costs: Sequence[Costs], about: str
) -> BudgetError:
    """Return the error for a bound that no model keeps, among those that keep the bounds before it."""
    name, noun = bound.constraint.name, bound.constraint.noun
    within = f"within {' and '.join(map(str, kept))}, " if kept else ""
    if bound.side == "max":
        rule = f"{within}no model of {where} has fewer than {about}{nearest:,} {noun}"
        hint = f"Raise the budget to at least {nearest:,}, or search a space of smaller models."
    else:
        known = [one[name] for one in costs]
        above = [cost for cost in known if cost > nearest]
        beyond = f"the next has {about}{min(above):,}, " if above else ""
        rule = (
            f"{within}no model of {where} has more than {about}{nearest:,} {noun} "
            f"({beyond}the smallest has {about}{min(known):,})"
        )
        hint = f"Lower {bound.option}, or change budget.max_{name}."
    return BudgetError(bound.option, bound.value, rule, hint)
