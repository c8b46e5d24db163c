"""The search's objective over shapes: over depth and each searched value, and over width and depth together."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from hrm.config.validation import construct_unvalidated
from hrm.models.registry import get_family
from sweeps.analysis.sweep_folder import SweepFolder, list_layer_fields
from sweeps.report.charts.chart import Axis, Chart, ColourScale, HorizontalLine, Layer, Lines, Panel, Points
from sweeps.report.charts.dimensions import Dimension
from sweeps.report.charts.layers import (
    build_confirmed,
    build_metric_axis,
    build_presets,
    build_trials,
    choose_arm_colours,
    format_metric,
)
from sweeps.results.schema import PARAMETER_PREFIX, Row

MAX_PANELS = 4
LEARNING_RATE = "learning rate"
WIDTH_STEP = 4
"""Distance of the widths that are tried to find the budget's edge."""

Config = dict[str, Any]
Reader = Callable[[Config], Any]
"""From a resolved run configuration to a number or a word."""


def build_shape(folder: SweepFolder) -> Chart | None:
    """Build a panel per dimension, coloured by width; None without a completed search trial."""
    trials = folder.best_trials
    if not trials:
        return None
    readers = dict(list(_list_readers(folder).items())[:MAX_PANELS])
    label, read_shade = _choose_colour(folder)
    shades = [read_shade(folder.read_config(row)) for row in trials]
    return Chart(
        title=f"{folder.metadata.task}, {len(trials)} completed search trials, one seed each",
        caption=_write_caption(folder, list(readers), label),
        panels=[_build_panel(folder, name, read, shades) for name, read in readers.items()],
        scale=ColourScale(label=label, low=min(shades), high=max(shades), log=label == LEARNING_RATE),
        width=max(7.2, 3.6 * len(readers)),
        height=5.0,
    )


def build_width_depth(folder: SweepFolder) -> Chart | None:
    """Build layers over width; None if the search tried one shape only, or nothing completed."""
    rows = [row for row in folder.select("search") if row["status"] in ("completed", "pruned")]
    trials = folder.rank(rows)
    if not trials or len({_find_shape(folder, folder.read_config(row)) for row in rows}) < 2:
        return None
    pruned = [row for row in rows if row["status"] == "pruned"]
    scores = [row["objective"] for row in trials]

    def x(row: Row) -> float:
        return _find_shape(folder, folder.read_config(row))[0]

    def y(row: Row) -> float:
        return _find_shape(folder, folder.read_config(row))[1]

    layers: list[Layer] = _build_budget_edge(folder, [*rows, *folder.select("baseline")])
    if pruned:
        layers.append(build_trials(folder, pruned, x, y, name="pruned", mark="cross", colour="grey", size=5))
    # The best is drawn last, on top of others of its shape.
    layers.append(build_trials(folder, trials[::-1], x, y, shades=scores[::-1], size=11, mark="square"))
    layers += build_presets(folder, x, y, legend="{name}", best_only=True, size=10)
    best = folder.comparisons.best
    if best and not best.is_baseline:
        width, depth = _find_shape(folder, best.config)
        look: dict[str, Any] = {"colour": choose_arm_colours(folder)[best.name], "hollow": True, "size": 15}
        name = f"best confirmed: {best.name}"
        layers.append(Points(name=name, x=[width], y=[depth], tooltips=[best.name], **look))
    width_label = f"width ({folder.width_field})"
    x_axis, y_axis = Axis(label=width_label, whole=True), Axis(label="layers of all modules", whole=True)
    return Chart(
        title=f"Width and depth, {folder.metadata.task}",
        caption=f"Layers over {width_label}; squares are completed trials of one seed each, colour is the objective, "
        "crosses were pruned. The line is the widest shape that the budget allows with the other values of the best "
        "one.",
        panels=[Panel(x=x_axis, y=y_axis, layers=layers)],
        scale=ColourScale(label=format_metric(folder.metadata.objective), low=min(scores), high=max(scores)),
    )


def _write_caption(folder: SweepFolder, labels: Sequence[str], colour: str) -> str:
    text = f"Objective against {' and '.join(labels)}; colour is {colour}."
    if folder.metadata.max_params is not None:
        text += f" Every shape stays within {folder.metadata.max_params:,} parameters."
    if folder.comparisons.arms:
        text += " Large marks with bars are the confirmed arms: mean and 95% interval over fresh seeds."
    pruned = len(folder.select("search", "pruned"))
    return text + (f" {pruned} pruned trials are not shown." if pruned else "")


def _build_panel(folder: SweepFolder, label: str, read: Reader, shades: Sequence[float]) -> Panel:
    trials, baselines = folder.best_trials, folder.select("baseline")
    values = [read(folder.read_config(row)) for row in [*trials, *baselines]]
    dimension = Dimension(label, values, log=label == LEARNING_RATE)

    def x(row: Row) -> float:
        return dimension.find_place(read(folder.read_config(row)))

    layers: list[Layer] = [
        build_trials(folder, trials, x, shades=shades, size=6.5),
        *build_presets(folder, x, legend="{name}, one seed each, n = {n}"),
    ]
    for best in folder.rank(baselines)[:1]:
        name = f"{best['arm']} at its best, {best['objective']:.3f}"
        layers.append(HorizontalLine(name=name, y=best["objective"]))
    layers += build_confirmed(folder, lambda arm: dimension.find_place(read(arm.config)))
    return Panel(x=dimension.build_axis(), y=build_metric_axis(folder.metadata.objective), layers=layers)


def _list_readers(folder: SweepFolder) -> dict[str, Reader]:
    """Return what the space varies, the learning rate last; depth and cycles as the numbers that they make."""
    trials, names = folder.best_trials, folder.metadata.parameters
    varied = {name for name in names if len({row[PARAMETER_PREFIX + name] for row in trials}) > 1}
    layers, cycles = ("H_layers", "L_layers"), ("H_cycles", "L_cycles")
    readers: dict[str, Reader] = {}
    if varied & set(layers) and set(layers) <= set(folder.read_config(trials[0])["model"]):
        readers["layers (H + L)"] = lambda config: sum(config["model"][name] for name in layers)
    if varied & set(cycles):
        label = "L-steps of a segment (H_cycles x L_cycles)"
        readers[label] = lambda config: config["model"]["H_cycles"] * config["model"]["L_cycles"]
    alone = varied - {*layers, *cycles, "lr"}
    readers |= {name: partial(_read_field, name) for name in names if name in alone}
    return readers | {LEARNING_RATE: partial(_read_field, "lr")}


def _choose_colour(folder: SweepFolder) -> tuple[str, Reader]:
    """Return width where it varies, else the learning rate."""
    name = folder.width_field
    varies = len({folder.read_config(row)["model"][name] for row in folder.best_trials}) > 1
    return (
        (f"width ({name})", partial(_read_field, name))
        if varies
        else (LEARNING_RATE, partial(_read_field, "lr"))
    )


def _read_field(name: str, config: Config) -> Any:
    """Return a field of the model or its training: a number, or a word for anything else."""
    value = (config["train"] | config["model"]).get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _find_shape(folder: SweepFolder, config: Config) -> tuple[float, float]:
    """Return width and depth of a configuration."""
    model = config["model"]
    return float(model[folder.width_field]), float(sum(model[name] for name in list_layer_fields(model)))


def _build_budget_edge(folder: SweepFolder, rows: Sequence[Row]) -> list[Layer]:
    """Build the budget's edge over the depths that were tried, counted, with the best trial's other values."""
    budget = folder.metadata.max_params
    config = folder.read_config(folder.best_trials[0])
    model, fields, family = config["model"], list_layer_fields(config["model"]), get_family(config["family"])
    if budget is None or not fields:
        return []
    widths, depths = zip(*(_find_shape(folder, folder.read_config(row)) for row in rows))
    candidates = range(WIDTH_STEP, int(max(widths) * 2) + 1, WIDTH_STEP)
    others = sum(model[name] for name in fields[1:])
    edge = []
    for depth in range(int(min(depths)), int(max(depths)) + 1):

        def count_params(width: int, layers: int = depth - others) -> int:
            # Heads need not divide the width: only parameters are counted.
            shape = {**model, folder.width_field: width, fields[0]: layers}
            params: int = family.count(construct_unvalidated(family.config_class, shape)).params
            return params

        if fitting := bisect_right(candidates, budget, key=count_params):
            edge.append((float(candidates[fitting - 1]), float(depth)))
    line = ([x for x, _ in edge], [y for _, y in edge])
    return [Lines(name=f"{budget:,} parameters", lines=[line], colour="grey", dashed=True)] if edge else []
