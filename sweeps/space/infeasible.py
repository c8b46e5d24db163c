"""What is said when nothing in a space may be trained: which bound is at fault, what is in reach."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from sweeps.errors import BudgetError, SpaceError
from sweeps.space.budget import Budget
from sweeps.space.equal_compute import Compute
from sweeps.space.judge import Judged


def nothing_fits(
    space: str,
    smallest: int,
    points: Iterable[Judged],
    budget: Budget,
    compute: Compute,
    about: str,
) -> BudgetError | SpaceError:
    """The error for a space without a feasible point, though it has valid ones.

    Args:
        smallest: parameters of the smallest valid model, whatever the budget.
        points: the valid points, widths filled.
        about: `about ` where the points are a sample, else empty.
    """
    where = f"space {space}"
    most, least = budget.max_params, budget.min_params
    if most is not None and smallest > most:
        return BudgetError(
            "budget.max_params", most,
            f"the smallest model that {where} reaches has {about}{smallest:,} parameters",
            f"Raise the budget to at least {smallest:,}, or search a space of smaller models.",
        )  # fmt: skip
    blocks = list(points)
    sizes = np.unique(np.concatenate([block.num_params for block in blocks]))
    if not len(sizes):
        return SpaceError(
            where, "no point to train", "no width that fills the budget makes a valid model",
            "Derive from the width what has to divide it.",
        )  # fmt: skip
    within = sizes if most is None else sizes[sizes <= most]
    if least is not None and not (within >= least).any():
        above = sizes[sizes > within.max()]
        beyond = f", the next is {about}{int(above.min()):,}" if len(above) else ""
        return BudgetError(
            "budget.min_params", least,
            f"the largest model of {where} within budget.max_params={_shown(most)} has "
            f"{about}{int(within.max()):,} parameters{beyond}; the smallest has {about}{smallest:,}",
            "Lower budget.min_params, or change budget.max_params.",
        )  # fmt: skip
    cheapest = min(
        int(block.flops_per_step[_in_budget(block, budget)].min(initial=2**63 - 1)) for block in blocks
    )
    return SpaceError(
        where, "no point to train", f"even its cheapest model within the budget {compute.misfit(cheapest)}",
        "Raise train.steps, lower train.num_reports, or compare at train.equal=steps.",
    )  # fmt: skip


def _in_budget(block: Judged, budget: Budget) -> np.ndarray:
    most = np.inf if budget.max_params is None else budget.max_params
    return (block.num_params <= most) & (block.num_params >= (budget.min_params or 0))


def _shown(most: int | None) -> str:
    return "null" if most is None else f"{most:,}"
