"""The error where nothing in a space may be trained: which bound is at fault, what is in reach."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sweeps.errors import BudgetError, SpaceError
from sweeps.space.budget import Bound, Budget, FlopsBudget
from sweeps.space.constraints import FLOPS_PER_STEP, Costs


def explain_infeasibility(
    space: str,
    narrowest: Sequence[Costs],
    points: Sequence[Costs],
    budget: Budget,
    flops_budget: FlopsBudget,
    about: str,
) -> BudgetError | SpaceError:
    """Return the error for a space without a feasible point, though it has valid ones.

    Args:
        narrowest: costs of the valid points, at their narrowest where widths fill the budget.
        points: costs of the valid points, widths filled.
        about: `about ` where the points are a sample, else empty.
    """
    where, bounds = f"space {space}", budget.counted
    uppers = [bound for bound in bounds if bound.side == "max"]
    fault = _find_unreachable_maximum(where, narrowest, uppers, about)
    if fault:
        return fault
    if not points:
        return SpaceError(
            where,
            "no point to train",
            "no width that fills the budget makes a valid model",
            "Derive from the width what has to divide it.",
        )
    fault = _find_unreachable_minimum(where, narrowest, points, bounds, about) or _find_clash(
        where, points, bounds, about
    )
    if fault:
        return fault
    cheapest = _nearest(points, Bound(FLOPS_PER_STEP, "max", 0), bounds)
    return SpaceError(
        where,
        "no point to train",
        f"even its cheapest model within the budget {flops_budget.describe_violation(int(cheapest or 0))}",
        "Raise train.steps, lower train.num_reports, or compare at train.equal=steps.",
    )


def _find_unreachable_maximum(
    where: str, narrowest: Sequence[Costs], uppers: Sequence[Bound], about: str
) -> BudgetError | None:
    """Return an upper bound that no model keeps, whatever the other bounds; else uppers that none keeps together."""
    for bound in uppers:
        least = _nearest(narrowest, bound, [])
        if least is not None and least > bound.value:
            return BudgetError(
                bound.option,
                bound.value,
                f"no model of {where} has fewer than {about}{least:,} {bound.constraint.noun}",
                f"Raise the budget to at least {least:,}, or search a space of smaller models.",
            )
    return _find_clash(where, narrowest, uppers, about)


def _find_unreachable_minimum(
    where: str, narrowest: Sequence[Costs], points: Sequence[Costs], bounds: Sequence[Bound], about: str
) -> BudgetError | None:
    """Return a lower bound that no model within the upper bounds keeps."""
    uppers = [bound for bound in bounds if bound.side == "max"]
    for bound in (bound for bound in bounds if bound.side == "min"):
        most = _nearest(points, bound, uppers)
        if most is None or most >= bound.value:
            continue
        name, noun = bound.constraint.name, bound.constraint.noun
        above = [costs[name] for costs in points if costs[name] > most]
        beyond = f"the next has {about}{min(above):,}, " if above else ""
        least = min(costs[name] for costs in narrowest)
        within = " and ".join(map(str, uppers)) or f"budget.max_{name}=null"
        return BudgetError(
            bound.option,
            bound.value,
            f"within {within}, no model of {where} has more than {about}{most:,} {noun} "
            f"({beyond}the smallest has {about}{least:,})",
            f"Lower {bound.option}, or change budget.max_{name}.",
        )
    return None


def _find_clash(
    where: str, points: Sequence[Costs], bounds: Sequence[Bound], about: str
) -> BudgetError | None:
    """Return bounds that models keep one by one and none keeps together."""
    if any(_keeps(costs, bounds) for costs in points):
        return None
    for bound in bounds:
        others = [other for other in bounds if other is not bound]
        nearest = _nearest(points, bound, others)
        if nearest is not None:
            extent = "fewer" if bound.side == "max" else "more"
            within = " and ".join(map(str, others))
            return BudgetError(
                bound.option,
                bound.value,
                f"within {within}, no model of {where} has {extent} than {about}{nearest:,} "
                f"{bound.constraint.noun}",
                f"{'Raise' if bound.side == 'max' else 'Lower'} it to {nearest:,}, or change the others.",
            )
    together = ", ".join(map(str, bounds))
    return BudgetError(
        "budget",
        together,
        f"no model of {where} keeps these together, nor all but one of them",
        "Give fewer bounds, or wider ones.",
    )


def _nearest(points: Iterable[Costs], bound: Bound, within: Sequence[Bound]) -> float | None:
    """Return the cost nearest to keeping a bound, among the models that keep the others; None without any."""
    kept = [costs[bound.constraint.name] for costs in points if _keeps(costs, within)]
    best = min if bound.side == "max" else max
    return best(kept) if kept else None


def _keeps(costs: Costs, bounds: Iterable[Bound]) -> bool:
    return all(bound.holds(costs) for bound in bounds)
