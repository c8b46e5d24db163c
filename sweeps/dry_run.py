"""The text of a dry run: the space, its counts, how each preset fits, the runs of the sweep."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from hrm.config.presets import list_presets
from hrm.models.registry import get_family
from hrm.system.tables import format_columns
from hrm.system.units import format_flops, format_scaled
from sweeps.analysis.statistics import TEST_NAME
from sweeps.checks import check_sweep
from sweeps.config import SweepConfig
from sweeps.quantities import TRAINING_FLOPS, parse_count
from sweeps.scheduler.phases.baseline import choose_presets, num_baseline_trials
from sweeps.space.candidates import Candidate, Candidates
from sweeps.space.constraints import CONSTRAINTS, FLOPS_PER_STEP, PARAMS
from sweeps.space.parameters import Parameter
from sweeps.space.space import FILL

WIDTH = 100
"""Columns of the text, where the space does not have more parameters than fit beside each other."""
LABEL = 26
"""Columns of a line's label."""
MOST_SHAPES_LISTED = 64


def describe_sweep(config: SweepConfig) -> str:
    """Return the space, its counts and which presets fit, as text; train nothing (`dry_run=true`).

    Raises:
        UserError: the configuration is at fault.
    """
    return describe(check_sweep(config), config)


def describe(candidates: Candidates, config: SweepConfig, memory_bytes: int | None = None) -> str:
    """Return the sweep in plain text of `WIDTH` columns; train nothing.

    Args:
        memory_bytes: what one trial may use, weights to activations; None is no bound.

    Raises:
        UnknownNameError: `baseline.presets` names what is no preset.
    """
    baselines, left_out = choose_presets(config.baseline.presets, candidates, memory_bytes)
    reasons = {place.name: place.violation for place in left_out}
    sections = [
        textwrap.wrap(candidates.space.question, WIDTH),
        _space(candidates, config),
        _bounds(candidates, config),
        _counts(candidates),
        _shapes(candidates),
        _presets(candidates, reasons | dict.fromkeys(baselines, "fits: a baseline")),
        _runs(candidates, config, list(baselines)),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _space(candidates: Candidates, config: SweepConfig) -> list[str]:
    space = candidates.space
    lines = _line("space", space.name) + _line("task", _settings(config.task))
    for name, parameter in space.parameters.items():
        lines += _line(f"search {name}", _grid(parameter))
    if space.filled:
        step = space.constants["head_size"]
        lines += _line(f"derive {space.filled}", f"{FILL}: the largest multiple of {step} within the budget")
    for name, expression in space.derived.items():
        lines += _line(f"derive {name}", expression.text)
    fixed = {name: value for name, value in space.fixed.items() if name not in config.model}
    if fixed:
        lines += _line("fixed in the search", _settings(fixed))
    own = {*space.parameters, *space.derived, space.filled}
    rules = {name: value for name, value in config.model.items() if name not in own}
    overridden = {name: value for name, value in config.model.items() if name in own}
    lines += _line("same in every arm", _settings(rules)) if rules else []
    lines += _line("same in every preset", _settings(overridden)) if overridden else []
    return lines


def _bounds(candidates: Candidates, config: SweepConfig) -> list[str]:
    flops_budget = candidates.flops_budget
    lines = []
    for constraint in CONSTRAINTS.values():
        bounds = [bound for bound in candidates.budget.bounds if bound.constraint is constraint]
        words = [f"at {'most' if bound.side == 'max' else 'least'} {bound.value:,}" for bound in bounds]
        if bounds or constraint is PARAMS:
            measured = ", measured by each trial before it trains" if constraint.measured else ""
            text = " and ".join(words) + measured
            lines += _line(f"budget, {constraint.noun}", text or "no bound")
    if flops_budget.flops is None:
        return lines + _line("compute of a trial", f"the same {flops_budget.steps:,} steps for all")
    reference = f"what {config.train.reference} spends in {flops_budget.steps:,} steps"
    return lines + _line("compute of a trial", f"{format_flops(flops_budget.flops)}: {reference}")


def _counts(candidates: Candidates) -> list[str]:
    shapes = candidates.shapes
    lines = _line("tuples", _count(candidates.num_tuples))
    if shapes is None:
        return lines + _line("architectures", "not counted: a range is continuous, or the space too large")
    lines += _line("distinct architectures", f"{shapes.num_architectures:,}")
    lines += _line("  of them feasible", f"{shapes.num_feasible_architectures:,}")
    lines += _line("distinct feasible trials", _count(candidates.num_feasible_trials))
    sizes = [int(size) for size in shapes.costs[PARAMS.name]]
    for name, costs in shapes.costs.items():
        shown = (
            _range(sizes)
            if name == PARAMS.name
            else f"{format_scaled(min(costs))} to {format_scaled(max(costs))}"
        )
        lines += _line(CONSTRAINTS[name].noun, shown)
    flops = [int(flops) for flops in shapes.costs[FLOPS_PER_STEP.name]]
    lines += _line(
        "steps of a trial" if not get_family(candidates.family).adaptive else "steps, at least",
        _range(candidates.flops_budget.count_steps(end) for end in (max(flops), min(flops))),
    )
    budget = candidates.budget
    if budget.max_params is not None:
        ends = dict.fromkeys(f"{budget.used_share(size):.1%}" for size in (min(sizes), max(sizes)))
        lines += _line("share of the budget used", " to ".join(ends))
        num_iso = sum(map(budget.is_iso_parameter, sizes))
        lines += _line(
            "iso-parameter shapes", f"{num_iso:,} of {len(sizes):,} use more than 95% of the budget"
        )
    return lines


def _shapes(candidates: Candidates) -> list[str]:
    """Return a table of the feasible shapes, where there are few."""
    shapes, space = candidates.shapes, candidates.space
    if shapes is None or len(shapes.distinct) > MOST_SHAPES_LISTED:
        return []
    listed = list(candidates.each_shape())
    names = [
        name
        for name in (*space.parameters, *filter(None, [space.filled]), *space.derived)
        if len({repr(one.values[name]) for one in listed}) > 1
    ]
    rows = [[*names, "parameters", "used", "inner/width", "FLOPs/step", "steps", "iso"]]
    rows += [[_value(one.values[name]) for name in names] + _shape_facts(candidates, one) for one in listed]
    return [
        "Feasible shapes (used: share of the budget; iso: more than 95% of it)",
        format_columns(rows, wrap=WIDTH),
    ]


def _shape_facts(candidates: Candidates, one: Candidate) -> list[str]:
    full = candidates.budget.used_share(one.num_params)
    return [
        f"{one.num_params:,}",
        "" if full is None else f"{full:.1%}",
        f"{one.inner_over_width:.2f}",
        format_scaled(one.flops_per_step),
        f"{one.run.train.steps:,}",
        "yes" if candidates.budget.is_iso_parameter(one.num_params) else "no",
    ]


def _presets(candidates: Candidates, verdicts: Mapping[str, str | None]) -> list[str]:
    rows = [["preset", "parameters", "steps", "FLOPs/step", "place"]]
    for name in list_presets(candidates.family):
        place = candidates.fit_preset(name)
        counts = [f"{count:,}" if count is not None else "" for count in (place.num_params, place.steps)]
        flops = format_scaled(place.flops_per_step) if place.flops_per_step is not None else ""
        verdict = verdicts.get(name) or place.violation or "fits, but baseline.presets leaves it out"
        rows.append([name, *counts, flops, verdict])
    return [format_columns(rows, wrap=WIDTH)]


def _runs(candidates: Candidates, config: SweepConfig, presets: list[str]) -> list[str]:
    feasible = candidates.num_feasible_trials
    search = config.num_trials if feasible is None else min(config.num_trials, feasible * config.replicates)
    baselines = len(presets) * num_baseline_trials(config)
    if config.stop.trials is not None:
        search = min(search, config.stop.trials - baselines)
    is_random = config.baseline.random
    arms = min(config.confirm.finalists, search) + len(presets) + is_random if config.confirm.finalists else 0
    confirmations = arms * config.confirm.seeds
    lines = _line("search trials", f"{search:,}")
    each = f"{num_baseline_trials(config)} of each of {', '.join(presets)}" if presets else "no preset fits"
    lines += _line("baseline trials", f"{baselines:,}: {each}")
    if config.resume_pruned:
        lines += _line("resumed trials", f"{config.resume_pruned:,} of those that are pruned, at most")
    lines += _line("confirmation runs", f"{confirmations:,}: {arms} arms on {config.confirm.seeds} seeds")
    if is_random:
        lines += _line("random search", f"about {search:,}: whole runs, for the FLOPs that the search spends")
    total = search + baselines + confirmations + (search if is_random else 0)
    lines += _line("runs in all", f"{'about ' if is_random else ''}{total:,}")
    if candidates.flops_budget.flops is not None:
        lines += _line("training compute", f"at most {format_flops(total * candidates.flops_budget.flops)}")
    if confirmations:
        lines += _line("verdict by", TEST_NAME)
    return lines + _limits(config)


def _limits(config: SweepConfig) -> list[str]:
    stop = config.stop
    said = [f"{stop.trials:,} search and baseline trials"] if stop.trials is not None else []
    if stop.flops is not None:
        flops = parse_count(stop.flops, TRAINING_FLOPS, "stop.flops")
        said.append(f"{format_flops(flops)} of search and baseline training")
    if stop.no_improvement is not None:
        said.append(f"{stop.no_improvement:,} search trials without a better best")
    if stop.hours is not None:
        note = ", which depends on the machine: not reproducible" if config.deterministic else ""
        said.append(f"{stop.hours:g} hours, confirmations included{note}")
    return _line("the sweep ends after", "; or ".join(said)) if said else []


def _line(label: str, text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=f"{label:<{LABEL}}", subsequent_indent=" " * LABEL)


def _grid(parameter: Parameter) -> str:
    if parameter.grid is None:
        low, high = parameter.extremes()
        return f"{low:g} to {high:g}, continuous"
    if isinstance(parameter.grid, range):
        step = f" in steps of {parameter.grid.step}" if parameter.grid.step > 1 else ""
        return f"{parameter.grid[0]} to {parameter.grid[-1]}{step}"
    return ", ".join(_value(value) for value in parameter.grid)


def _value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "null" if value is None else str(value)


def _settings(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={_value(value)}" for name, value in settings.items())


def _range(counts: Iterable[int]) -> str:
    ends = sorted(int(count) for count in counts)
    return f"{ends[0]:,} to {ends[-1]:,}" if ends[0] != ends[-1] else f"{ends[0]:,}"


def _count(count: int | None) -> str:
    return "not counted: a range is continuous, or the space too large" if count is None else f"{count:,}"
