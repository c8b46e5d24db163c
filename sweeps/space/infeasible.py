"""What is said when nothing in a space may be trained: which bound is at fault, what is in reach."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from sweeps.errors import BudgetError, SpaceError
from sweeps.space.constraints import FLOPS_PER_STEP, Bound, Budget, FlopsBudget
from sweeps.space.feasibility import FeasibilityResult


def nothing_fits(
    space: str,
    narrowest: Iterable[FeasibilityResult],
    points: Iterable[FeasibilityResult],
    budget: Budget,
    compute: FlopsBudget,
    about: str,
) -> BudgetError | SpaceError:
    """The error for a space without a feasible point, though it has valid ones.

    Args:
        narrowest: the valid points, at their narrowest where widths fill the budget.
        points: the valid points, widths filled.
        about: `about ` where the points are a sample, else empty.
    """
    where = f"space {space}"
    narrow, blocks = list(narrowest), list(points)
    fault = _beyond_reach(where, narrow, budget.upper_bounds, about)
    if fault:
        return fault
    if not any(len(block.positions) for block in blocks):
        return SpaceError(
            where, "no point to train", "no width that fills the budget makes a valid model",
            "Derive from the width what has to divide it.",
        )  # fmt: skip
    fault = _below_reach(where, narrow, blocks, budget, about) or _clashing(
        where, blocks, budget.bounds, about
    )
    if fault:
        return fault
    cheapest = _extreme(blocks, Bound(FLOPS_PER_STEP, "max", 0), budget.bounds)
    return SpaceError(
        where, "no point to train",
        f"even its cheapest model within the budget {compute.misfit(cheapest or 0)}",
        "Raise train.steps, lower train.num_reports, or compare at train.equal=steps.",
    )  # fmt: skip


def _beyond_reach(
    where: str, narrow: Sequence[FeasibilityResult], uppers: Sequence[Bound], about: str
) -> BudgetError | None:
    """An upper bound that no model keeps, whatever the other bounds; else uppers that none keeps together."""
    for bound in uppers:
        smallest = _extreme(narrow, bound, [])
        if smallest is not None and smallest > bound.value:
            noun = bound.measure.noun
            return BudgetError(
                bound.option, bound.value,
                f"the {bound.measure.least} model that {where} reaches has {about}{smallest:,} {noun}",
                f"Raise the budget to at least {smallest:,}, or search a space of smaller models.",
            )  # fmt: skip
    return _clashing(where, narrow, uppers, about)


def _below_reach(
    where: str,
    narrow: Sequence[FeasibilityResult],
    blocks: Sequence[FeasibilityResult],
    budget: Budget,
    about: str,
) -> BudgetError | None:
    """A lower bound that no model within the upper bounds keeps."""
    for bound in (bound for bound in budget.bounds if bound.side == "min"):
        largest = _extreme(blocks, bound, budget.upper_bounds)
        if largest is None or largest >= bound.value:
            continue
        name, noun = bound.measure.name, bound.measure.noun
        figures = np.concatenate([block.figures[name] for block in blocks])
        above = figures[figures > largest]
        beyond = f", the next is {about}{int(above.min()):,}" if len(above) else ""
        smallest = _extreme(narrow, bound._replace(side="max"), [])
        within = " and ".join(map(str, budget.upper_bounds)) or f"budget.max_{name}=null"
        return BudgetError(
            bound.option, bound.value,
            f"the {bound.measure.most} model of {where} within {within} has "
            f"{about}{largest:,} {noun}{beyond}; the {bound.measure.least} has {about}{smallest:,}",
            f"Lower {bound.option}, or change budget.max_{name}.",
        )  # fmt: skip
    return None


def _clashing(
    where: str, blocks: Sequence[FeasibilityResult], bounds: Sequence[Bound], about: str
) -> BudgetError | None:
    """Bounds that models keep one by one and none keeps together."""
    if any(_all_hold(block, bounds).any() for block in blocks):
        return None
    for bound in bounds:
        others = [other for other in bounds if other is not bound]
        nearest = _extreme(blocks, bound, others)
        if nearest is not None:
            word = bound.measure.least if bound.side == "max" else bound.measure.most
            return BudgetError(
                bound.option, bound.value,
                f"the {word} model of {where} within {' and '.join(map(str, others))} has "
                f"{about}{nearest:,} {bound.measure.noun}",
                f"{'Raise' if bound.side == 'max' else 'Lower'} it to {nearest:,}, or change the others.",
            )  # fmt: skip
    together = ", ".join(map(str, bounds))
    return BudgetError(
        "budget", together, f"no model of {where} keeps these together, nor all but one of them",
        "Give fewer bounds, or wider ones.",
    )  # fmt: skip


def _extreme(blocks: Iterable[FeasibilityResult], bound: Bound, within: Sequence[Bound]) -> int | None:
    """The figure nearest to keeping a bound, among the models that keep the others; None without any."""
    name, best = bound.measure.name, np.min if bound.side == "max" else np.max
    kept = [block.figures[name][_all_hold(block, within)] for block in blocks]
    extremes = [int(best(figures)) for figures in kept if len(figures)]
    return int(best(extremes)) if extremes else None


def _all_hold(block: FeasibilityResult, bounds: Sequence[Bound]) -> np.ndarray:
    holds = np.ones(len(block.positions), dtype=bool)
    for bound in bounds:
        holds &= bound.holds(block.figures)
    return holds
