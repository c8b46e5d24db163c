"""The text of a dry run: the space, its counts, how each preset fits, the runs of the sweep."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from hrm.config.presets import list_presets
from hrm.models.registry import get_family
from hrm.system.format import format_columns, format_flops, format_scaled
from sweeps.analysis.statistics import TEST_NAME
from sweeps.checks import check_sweep
from sweeps.config import SweepConfig
from sweeps.quantities import TRAINING_FLOPS, parse_count
from sweeps.scheduler.scheduler import Scheduler
from sweeps.space.candidates import Candidates
from sweeps.space.constraints import CONSTRAINTS, FLOPS_PER_STEP, PARAMS
from sweeps.space.parameters import Parameter
from sweeps.space.space import FILL

WIDTH = 100
"""Columns of the text, where the space does not have more parameters than fit beside each other."""
LABEL = 28
"""Columns of a line's label."""
MOST_SHAPES_LISTED = 64
NOT_COUNTED = "not counted: a range is continuous, or the space too large"


def describe_sweep(config: SweepConfig) -> str:
    """Return the space, its counts, which presets fit and the runs as text; train nothing (`dry_run=true`).

    Raises:
        UserError: the configuration is at fault.
    """
    return describe(check_sweep(config), config)


def describe(candidates: Candidates, config: SweepConfig) -> str:
    """Return the sweep in plain text of `WIDTH` columns.

    Raises:
        UserError: see `Scheduler`.
    """
    scheduler = Scheduler(config, candidates, journal=None, slots=1)
    sections = [
        textwrap.fill(candidates.space.question, WIDTH),
        _format_facts(_describe_space(candidates, config)),
        _format_facts(_describe_bounds(candidates, config)),
        _format_facts(_describe_counts(candidates)),
        _list_shapes(candidates),
        _list_presets(candidates, scheduler),
        _format_facts(_describe_runs(candidates, config, scheduler)),
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def _format_facts(facts: Mapping[str, str]) -> str:
    """Format a text beside each label, leaving out empty ones."""
    return "\n".join(
        textwrap.fill(text, WIDTH, initial_indent=f"{label:<{LABEL}}", subsequent_indent=" " * LABEL)
        for label, text in facts.items()
        if text
    )


def _describe_space(candidates: Candidates, config: SweepConfig) -> dict[str, str]:
    space, model = candidates.space, config.model
    facts = {"space": space.name, "task": _format_settings(config.task)}
    facts |= {f"search {name}": _format_grid(parameter) for name, parameter in space.parameters.items()}
    if space.filled:
        step = space.constants["head_size"]
        facts[f"derive {space.filled}"] = f"{FILL}: the largest multiple of {step} within the budget"
    facts |= {f"derive {name}": expression.text for name, expression in space.derived.items()}
    own = {*space.parameters, *space.derived, space.filled}
    return facts | {
        "fixed in the search": _format_settings(
            {name: space.fixed[name] for name in space.fixed if name not in model}
        ),
        "same in every arm": _format_settings({name: model[name] for name in model if name not in own}),
        "same in every preset": _format_settings({name: model[name] for name in model if name in own}),
    }


def _describe_bounds(candidates: Candidates, config: SweepConfig) -> dict[str, str]:
    facts = {}
    for constraint in CONSTRAINTS.values():
        bounds = [bound for bound in candidates.budget.bounds if bound.constraint is constraint]
        words = [f"at {'most' if bound.side == 'max' else 'least'} {bound.value:,}" for bound in bounds]
        if bounds or constraint is PARAMS:
            measured = ", measured by each trial before it trains" if constraint.measured else ""
            facts[f"budget, {constraint.noun}"] = " and ".join(words) + measured or "no bound"
    flops, steps = candidates.flops_budget.flops, candidates.flops_budget.steps
    facts["compute of a trial"] = f"the same {steps:,} steps for all"
    if flops is not None:
        reference = f"what {config.train.reference} spends in {steps:,} steps"
        facts["compute of a trial"] = f"{format_flops(flops)}: {reference}"
    return facts


def _describe_counts(candidates: Candidates) -> dict[str, str]:
    shapes, budget = candidates.shapes, candidates.budget
    facts = {"tuples": _format_count(candidates.num_tuples)}
    if shapes is None:
        return facts | {"architectures": NOT_COUNTED}
    facts |= {
        "distinct architectures": f"{shapes.num_architectures:,}",
        "  of them feasible": f"{shapes.num_feasible_architectures:,}",
        "distinct feasible trials": _format_count(candidates.num_feasible_trials),
    }
    for name, costs in shapes.costs.items():
        facts[CONSTRAINTS[name].noun] = f"{format_scaled(min(costs))} to {format_scaled(max(costs))}"
    sizes = [int(size) for size in shapes.costs[PARAMS.name]]
    facts[PARAMS.noun] = _format_range(sizes)
    steps = map(candidates.flops_budget.count_steps, map(int, shapes.costs[FLOPS_PER_STEP.name]))
    label = "steps, at least" if get_family(candidates.family).adaptive else "steps of a trial"
    facts[label] = _format_range(steps)
    if budget.max_params is not None:
        ends = dict.fromkeys(f"{budget.used_share(size):.1%}" for size in (min(sizes), max(sizes)))
        facts["share of the budget used"] = " to ".join(ends)
        num = sum(map(budget.is_iso_parameter, sizes))
        facts["iso-parameter shapes"] = f"{num:,} of {len(sizes):,} use more than 95% of the budget"
    return facts


def _list_shapes(candidates: Candidates) -> str:
    """Return a table of the feasible shapes, where there are few."""
    shapes, space, budget = candidates.shapes, candidates.space, candidates.budget
    if shapes is None or len(shapes.distinct) > MOST_SHAPES_LISTED:
        return ""
    listed = list(candidates.each_shape())
    names = [*space.parameters, *filter(None, [space.filled]), *space.derived]
    names = [name for name in names if len({repr(one.values[name]) for one in listed}) > 1]
    rows = [[*names, "parameters", "used", "inner/width", "FLOPs/step", "steps", "iso"]]
    for one in listed:
        used = budget.used_share(one.num_params)
        rows.append(
            [
                *(_format_value(one.values[name]) for name in names),
                f"{one.num_params:,}",
                "" if used is None else f"{used:.1%}",
                f"{one.inner_over_width:.2f}",
                format_scaled(one.flops_per_step),
                f"{one.run.train.steps:,}",
                "yes" if budget.is_iso_parameter(one.num_params) else "no",
            ]
        )
    title = "Feasible shapes (used: share of the budget; iso: more than 95% of it)"
    return f"{title}\n{format_columns(rows, wrap=WIDTH)}"


def _list_presets(candidates: Candidates, scheduler: Scheduler) -> str:
    left_out = {fit.name: fit.violation for fit in scheduler.left_out}
    rows = [["preset", "parameters", "steps", "FLOPs/step", "place"]]
    for name in list_presets(candidates.family):
        fit = candidates.fit_preset(name)
        counts = ["" if count is None else f"{count:,}" for count in (fit.num_params, fit.steps)]
        flops = "" if fit.flops_per_step is None else format_scaled(fit.flops_per_step)
        place = "fits: a baseline"
        if name not in scheduler.presets:
            place = left_out.get(name) or fit.violation or "fits, but baseline.presets leaves it out"
        rows.append([name, *counts, flops, place])
    return format_columns(rows, wrap=WIDTH)


def _describe_runs(candidates: Candidates, config: SweepConfig, scheduler: Scheduler) -> dict[str, str]:
    nums, stop = scheduler.count_expected(), config.stop
    total, presets = sum(nums.values()), ", ".join(scheduler.presets)
    each = f"{config.num_baseline_trials} of each of {presets}" if presets else "no preset fits"
    arms, seeds = nums["confirm"] // config.confirm.seeds, config.confirm.seeds
    facts = {
        "search trials": f"{nums['search']:,}",
        "baseline trials": f"{nums['baseline']:,}: {each}",
        "resumed trials": f"{config.resume_pruned:,} of those that are pruned, at most",
        "confirmation runs": f"{nums['confirm']:,}: {arms} arms on {seeds} seeds",
        "random search": f"about {nums['random']:,}: whole runs, for the FLOPs that the search spends",
        "runs in all": f"{'about ' if nums['random'] else ''}{total:,}",
    }
    if not config.resume_pruned:
        del facts["resumed trials"]
    if not nums["random"]:
        del facts["random search"]
    if candidates.flops_budget.flops is not None:
        facts["training compute"] = f"at most {format_flops(total * candidates.flops_budget.flops)}"
    if nums["confirm"]:
        facts["verdict by"] = TEST_NAME
    ends = [f"{stop.trials:,} search and baseline trials"] if stop.trials is not None else []
    if stop.flops is not None:
        flops = parse_count(stop.flops, TRAINING_FLOPS, "stop.flops")
        ends.append(f"{format_flops(flops)} of search and baseline training")
    if stop.no_improvement is not None:
        ends.append(f"{stop.no_improvement:,} search trials without a better best")
    if stop.hours is not None:
        note = ", which depends on the machine: not reproducible" if config.deterministic else ""
        ends.append(f"{stop.hours:g} hours, confirmations included{note}")
    return facts | {"the sweep ends after": "; or ".join(ends)}


def _format_grid(parameter: Parameter) -> str:
    if parameter.grid is None:
        low, high = parameter.extremes()
        return f"{low:g} to {high:g}, continuous"
    if isinstance(parameter.grid, range):
        step = f" in steps of {parameter.grid.step}" if parameter.grid.step > 1 else ""
        return f"{parameter.grid[0]} to {parameter.grid[-1]}{step}"
    return ", ".join(map(_format_value, parameter.grid))


def _format_value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "null" if value is None else str(value)


def _format_settings(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={_format_value(value)}" for name, value in settings.items())


def _format_range(counts: Iterable[int]) -> str:
    ends = sorted(counts)
    return f"{ends[0]:,} to {ends[-1]:,}" if ends[0] != ends[-1] else f"{ends[0]:,}"


def _format_count(count: int | None) -> str:
    return NOT_COUNTED if count is None else f"{count:,}"
