"""The search's objective against the shape: depth with width as colour, or each searched value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hrm.config.validation import construct_unvalidated
from hrm.models.registry import get_family
from sweeps.analysis.sweep_folder import Row, SweepFolder
from sweeps.report.charts import style
from sweeps.report.charts import style as arms
from sweeps.report.charts.chart import Axis, Chart, Layer, Lines, Panel, Points, Rule, Scale
from sweeps.report.charts.style import metric_label
from sweeps.report.format import count, score
from sweeps.results.schema import PARAMETER_PREFIX
from sweeps.results.tables import format_short

MAX_PANELS = 4
MAX_TICKS = 6
"""Values of a grid that are written out, each at its place."""
LEARNING_RATE = "lr"
MERGED = ("H_layers", "L_layers", "H_cycles", "L_cycles")
"""Fields that are drawn as the one number that they make."""


@dataclass(frozen=True)
class Quantity:
    """Something that a configuration has."""

    label: str
    of: Callable[[dict[str, Any]], Any]
    """From a resolved run configuration: a number or a word."""
    log: bool = False


def build_shape(folder: SweepFolder) -> Chart | None:
    """One panel a dimension, side by side; None without a completed search trial."""
    trials = folder.rank(folder.select("search"))
    if not trials:
        return None
    quantities = _dimensions(folder, trials)[:MAX_PANELS]
    colour = _colour(folder, trials)
    shades = [colour.of(folder.read_config(row)) for row in trials]
    scale = Scale(label=colour.label, low=min(shades), high=max(shades), log=colour.log)
    return Chart(
        title=f"{folder.metadata.task}, {len(trials)} completed search trials, one seed each",
        caption=_caption(folder, quantities, colour),
        panels=[_panel(folder, quantity, trials, shades) for quantity in quantities],
        scale=scale,
        wide=max(7.2, 3.6 * len(quantities)),
        height=5.0,
    )


def told(folder: SweepFolder, row: Row) -> str:
    """What a reader who points at a trial is told."""
    names = folder.metadata.value_names
    values = [f"{name}={format_short(row[PARAMETER_PREFIX + name])}" for name in names]
    return f"{row['arm']}: {score(row['objective'])}, {count(row['params'])} parameters, {' '.join(values)}"


def _caption(folder: SweepFolder, quantities: Sequence[Quantity], colour: Quantity) -> str:
    labels = " and ".join(quantity.label for quantity in quantities)
    text = f"Objective against {labels}; colour is {colour.label}."
    if folder.metadata.max_params is not None:
        text += f" Every shape stays within {folder.metadata.max_params:,} parameters."
    if folder.comparisons.arms:
        text += " Large marks with bars are the confirmed arms: mean and 95% interval over fresh seeds."
    pruned = len(folder.select("search", "pruned"))
    return text + (f" {pruned} pruned trials are not shown." if pruned else "")


def _panel(folder: SweepFolder, quantity: Quantity, trials: Sequence[Row], shades: Sequence[float]) -> Panel:
    baselines = folder.rank(folder.select("baseline"))
    place = _placing(
        quantity, [quantity.of(folder.read_config(row)) for row in [*trials, *folder.select("baseline")]]
    )
    layers: list[Layer] = [
        Points(
            x=[place.of(quantity.of(folder.read_config(row))) for row in trials],
            y=[row["objective"] for row in trials],
            shades=shades,
            notes=[told(folder, row) for row in trials],
            size=6.5,
        )
    ]
    for name, mark in arms.preset_marks(folder).items():
        rows = [row for row in baselines if row["arm"] == name]
        layers.append(Points(
            name=f"{name}, one seed each, n = {len(rows)}", mark=mark, colour="ink", hollow=True,
            x=[place.of(quantity.of(folder.read_config(row))) for row in rows],
            y=[row["objective"] for row in rows], notes=[told(folder, row) for row in rows],
        ))  # fmt: skip
    if baselines:
        best = baselines[0]
        name = f"{best['arm']} at its best, {best['objective']:.3f}"
        layers.append(Rule(name=name, y=best["objective"]))
    y = Axis(label=style.metric_label(folder.metadata.objective))
    confirmed = arms.confirmed(folder, lambda arm: place.of(quantity.of(arm.config)))
    return Panel(x=place.axis, y=y, layers=[*layers, *confirmed])


@dataclass(frozen=True)
class Placing:
    """An axis, and where a value stands on it."""

    axis: Axis

    def of(self, value: Any) -> float:
        return float(self.axis.names.index(str(value))) if self.axis.names else float(value)


def _placing(quantity: Quantity, values: Sequence[Any]) -> Placing:
    if any(isinstance(value, str) for value in values):
        return Placing(Axis(label=quantity.label, names=sorted({str(value) for value in values})))
    grid = sorted(set(values))
    ticks = grid if quantity.log and len(grid) <= MAX_TICKS else []
    whole = all(isinstance(value, int) for value in values)
    return Placing(Axis(label=quantity.label, log=quantity.log, ticks=ticks, whole=whole))


def _dimensions(folder: SweepFolder, trials: Sequence[Row]) -> list[Quantity]:
    """What the space varies, the learning rate last; depth and cycles as one number each."""
    varied = [name for name in folder.metadata.parameters if _varies(trials, name)]
    found = []
    if {"H_layers", "L_layers"} <= set(folder.read_config(trials[0])["model"]) and set(varied) & {
        "H_layers",
        "L_layers",
    }:
        found.append(Quantity("layers (H + L)", _depth))
    if set(varied) & {"H_cycles", "L_cycles"}:
        found.append(Quantity("L-steps of a segment (H_cycles x L_cycles)", _l_steps))
    found += [_named(name) for name in varied if name not in (*MERGED, LEARNING_RATE)]
    return [*found, _named(LEARNING_RATE)]


def _colour(folder: SweepFolder, trials: Sequence[Row]) -> Quantity:
    """Width where it varies, else the learning rate."""
    name = folder.width_field
    width = Quantity(f"width ({name})", lambda config: config["model"][name])
    varies = len({width.of(folder.read_config(row)) for row in trials}) > 1
    return width if varies else _named(LEARNING_RATE)


def _named(name: str) -> Quantity:
    if name == LEARNING_RATE:
        return Quantity("learning rate", lambda config: config["train"]["lr"], log=True)
    return Quantity(name, lambda config: _field(config, name))


def _field(config: dict[str, Any], name: str) -> Any:
    """A field of the model or its training: a number, or a word for what is none."""
    value = next((config[part][name] for part in ("model", "train") if name in config[part]), None)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _depth(config: dict[str, Any]) -> int:
    return int(config["model"]["H_layers"] + config["model"]["L_layers"])


def _l_steps(config: dict[str, Any]) -> int:
    return int(config["model"]["H_cycles"] * config["model"]["L_cycles"])


def _varies(trials: Sequence[Row], name: str) -> bool:
    return len({row[PARAMETER_PREFIX + name] for row in trials}) > 1


WIDTH_STEP = 4
"""Of the widths at which the budget's edge is sought."""


def build_width_depth(folder: SweepFolder) -> Chart | None:
    """Layers over width; None where the search tried one shape only, or nothing completed."""
    rows = [row for row in folder.select("search") if row["status"] != "failed"]
    trials = folder.rank(rows)
    if not trials or len({_place(folder, row) for row in rows}) < 2:
        return None
    values = [row["objective"] for row in trials]
    pruned = [row for row in rows if row["status"] == "pruned"]
    layers: list[Layer] = _edge(folder, [_place(folder, row) for row in [*rows, *folder.select("baseline")]])
    if pruned:
        layers.append(_marks(folder, pruned, name="pruned", mark="cross", colour="grey", size=5))
    layers.append(_marks(folder, trials[::-1], shades=values[::-1], size=11, mark="square"))
    for name, mark in arms.preset_marks(folder).items():
        own = [row for row in folder.rank(folder.select("baseline")) if row["arm"] == name][:1]
        if own:
            layers.append(_marks(folder, own, name=name, mark=mark, colour="ink", hollow=True, size=10))
    best = folder.comparisons.best
    if best and not best.is_baseline:
        x, y = _of(folder, best.config)
        best_colour = arms.choose_arm_colours(folder)[best.name]
        layers.append(Points(name=f"best confirmed: {best.name}", x=[x], y=[y], hollow=True, size=15,
                             colour=best_colour, mark="circle", notes=[best.name]))  # fmt: skip
    return Chart(
        title=f"Width and depth, {folder.metadata.task}",
        caption=f"Layers over width ({folder.width_field}); squares are completed trials of one seed each, colour is "
        "the objective, crosses were pruned. The line is the widest shape that the budget allows with the other "
        "values of the best one.",
        panels=[
            Panel(
                x=Axis(label=f"width ({folder.width_field})", whole=True),
                y=Axis(label="layers of all modules", whole=True),
                layers=layers,
            )
        ],
        scale=Scale(label=metric_label(folder.metadata.objective), low=min(values), high=max(values)),
    )


def _marks(folder: SweepFolder, rows: list[Row], **look: Any) -> Points:
    places = [_place(folder, row) for row in rows]
    notes = [told(folder, row) if row["status"] == "completed" else f"{row['arm']}, pruned: {score(row['objective'])}"
             for row in rows]  # fmt: skip
    return Points(x=[x for x, _ in places], y=[y for _, y in places], notes=notes, **look)


def _place(folder: SweepFolder, row: Row) -> tuple[float, float]:
    return _of(folder, folder.read_config(row))


def _of(folder: SweepFolder, config: dict[str, Any]) -> tuple[float, float]:
    model = config["model"]
    return float(model[folder.width_field]), float(sum(model[name] for name in _layer_fields(model)))


def _layer_fields(model: dict[str, Any]) -> list[str]:
    return [name for name in model if name.endswith("layers")]


def _edge(folder: SweepFolder, places: list[tuple[float, float]]) -> list[Layer]:
    """The budget's edge over the depths that were tried, exact, for the best trial's other values."""
    budget = folder.metadata.max_params
    config = folder.read_config(folder.rank(folder.select("search"))[0])
    model, fields = config["model"], _layer_fields(config["model"])
    if budget is None or not fields:
        return []
    family, others = get_family(config["family"]), sum(model[name] for name in fields[1:])
    widths = range(WIDTH_STEP, int(max(x for x, _ in places) * 2) + 1, WIDTH_STEP)
    edge = []
    for depth in range(min(int(y) for _, y in places), max(int(y) for _, y in places) + 1):
        shapes = [{**model, folder.width_field: width, fields[0]: depth - others} for width in widths]
        # Heads need not divide the widths: only parameters are counted.
        counted = (family.count(construct_unvalidated(family.config_class, shape)).params for shape in shapes)
        fitting = [width for width, params in zip(widths, counted) if params <= budget]
        if fitting:
            edge.append((float(fitting[-1]), float(depth)))
    line = ([x for x, _ in edge], [y for _, y in edge])
    return [Lines(name=f"{budget:,} parameters", lines=[line], colour="grey", dashed=True)] if edge else []
