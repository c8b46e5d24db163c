"""The search's objective against the shape: depth with width as colour, or each searched value."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator

from sweeps.report import style, wording
from sweeps.report.folder import Folder, Row
from sweeps.results.schema import PARAMETER_PREFIX

MAX_PANELS = 4
MAX_TICKS = 6
"""Values of a grid that are written out, each at its place."""
LEARNING_RATE = "lr"
MERGED = ("H_layers", "L_layers", "H_cycles", "L_cycles")
"""Fields that are drawn as the one number that they make."""
PRESET_MARKERS = "D^vp*"


@dataclass(frozen=True)
class Axis:
    """A quantity that a configuration has."""

    label: str
    of: Callable[[dict[str, Any]], Any]
    """From a resolved run configuration."""
    log: bool = False


def draw(folder: Folder) -> tuple[Figure, str] | None:
    """One panel a dimension, side by side; None without a completed search trial."""
    trials = folder.ranked(folder.of("search"))
    if not trials:
        return None
    axes = _dimensions(folder, trials)[:MAX_PANELS]
    colour = _colour_axis(trials)
    figure = style.figure(max(7.2, 3.6 * len(axes)), 5.0)
    panels = figure.subplots(1, len(axes), sharey=True, squeeze=False)[0]
    for panel, axis in zip(panels, axes, strict=True):
        _draw_trials(panel, axis, _colours(trials, colour), colour, trials)
        _draw_presets(panel, axis, folder)
        _draw_confirmed(panel, axis, folder)
        _finish(panel, axis, [*trials, *folder.of("baseline")])
    panels[0].set_ylabel(style.metric_label(folder.context.objective))
    style.title(panels[0], f"{folder.context.task}, {len(trials)} completed search trials, one seed each")
    figure.colorbar(_colours(trials, colour), ax=list(panels), label=colour.label, pad=0.02, aspect=30)
    style.legend_below(figure, panels[0])
    return figure, _caption(folder, axes, colour)


def _caption(folder: Folder, axes: Sequence[Axis], colour: Axis) -> str:
    text = f"Objective against {' and '.join(axis.label for axis in axes)}; colour is {colour.label}."
    if folder.context.max_params is not None:
        text += f" Every shape stays within {folder.context.max_params:,} parameters."
    if folder.comparisons.arms:
        text += " Large marks with bars are the confirmed arms: mean and 95% interval over fresh seeds."
    pruned = len(folder.of("search", "pruned"))
    return text + (f" {pruned} pruned trials are not shown." if pruned else "")


def _draw_trials(
    panel: Axes, axis: Axis, mapped: ScalarMappable, colour: Axis, trials: Sequence[Row]
) -> None:
    x, y = [axis.of(_config(row)) for row in trials], [row["objective"] for row in trials]
    shades = [mapped.to_rgba(colour.of(_config(row))) for row in trials]
    panel.scatter(x, y, c=shades, s=42, edgecolors="white", linewidths=0.6, zorder=3)


def _draw_presets(panel: Axes, axis: Axis, folder: Folder) -> None:
    baselines = folder.ranked(folder.of("baseline"))
    for name, marker in _preset_markers(folder).items():
        rows = [row for row in baselines if row["arm"] == name]
        x, y = [axis.of(_config(row)) for row in rows], [row["objective"] for row in rows]
        label = f"{name}, one seed each, n = {len(rows)}"
        panel.plot(x, y, marker, ms=6, mfc="none", mec=style.INK, linestyle="none", zorder=4, label=label)
    if baselines:
        best = baselines[0]
        label = f"{best['arm']} at its best, {best['objective']:.3f}"
        panel.axhline(best["objective"], color=style.INK, linestyle="--", linewidth=1, label=label)


def _draw_confirmed(panel: Axes, axis: Axis, folder: Folder) -> None:
    markers = _preset_markers(folder)
    for i, arm in enumerate(folder.comparisons.arms):
        found = wording.confirmed(folder, arm, "objective")
        if found is None:
            continue
        shade = style.INK if arm.is_baseline else style.ARM_COLOURS[i % len(style.ARM_COLOURS)]
        look: dict[str, Any] = {"ms": 10, "mfc": "none", "mew": 1.6, "capsize": 4, "color": shade}
        panel.errorbar(axis.of(arm.config), found.mean, yerr=found.half_width, fmt=markers.get(arm.name, "s"),
                       label=f"{arm.name} confirmed, n = {found.n}", **look)  # fmt: skip


def _finish(panel: Axes, axis: Axis, rows: Sequence[Row]) -> None:
    values = [axis.of(_config(row)) for row in rows]
    if axis.log:
        panel.set_xscale("log")
        panel.xaxis.set_minor_formatter(NullFormatter())
        grid = sorted(set(values))
        if len(grid) <= MAX_TICKS:
            panel.set_xticks(grid, [f"{value:.2g}" for value in grid])
            panel.xaxis.set_minor_locator(NullLocator())
    elif all(isinstance(value, int) for value in values):
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    elif any(isinstance(value, str) for value in values):
        panel.margins(x=0.3)
    panel.set_xlabel(axis.label)
    style.quiet(panel)


def _preset_markers(folder: Folder) -> dict[str, str]:
    """A mark of its own for every preset that was trained."""
    names = dict.fromkeys(row["arm"] for row in folder.of("baseline"))
    return {name: PRESET_MARKERS[i % len(PRESET_MARKERS)] for i, name in enumerate(names)}


def _dimensions(folder: Folder, trials: Sequence[Row]) -> list[Axis]:
    """What the space varies, the learning rate last; depth and cycles as one number each."""
    varied = [name for name in folder.context.parameters if _varies(trials, name)]
    axes = []
    if {"H_layers", "L_layers"} & set(varied):
        axes.append(Axis("layers (H + L)", _depth))
    if {"H_cycles", "L_cycles"} & set(varied):
        axes.append(Axis("L-steps of a segment (H_cycles x L_cycles)", _l_steps))
    axes += [_named(name) for name in varied if name not in (*MERGED, LEARNING_RATE)]
    return [*axes, _named(LEARNING_RATE)]


def _colour_axis(trials: Sequence[Row]) -> Axis:
    """Width where it varies, else the learning rate."""
    width = Axis("width (hidden_size)", lambda config: config["model"]["hidden_size"])
    return width if len({width.of(_config(row)) for row in trials}) > 1 else _named(LEARNING_RATE)


def _colours(trials: Sequence[Row], axis: Axis) -> ScalarMappable:
    values = [axis.of(_config(row)) for row in trials]
    low, high = min(values), max(values)
    high = high if high > low else low * 1.01
    return ScalarMappable((LogNorm if axis.log else Normalize)(low, high), style.COLOUR_MAP)


def _named(name: str) -> Axis:
    if name == LEARNING_RATE:
        return Axis("learning rate", lambda config: config["train"]["lr"], log=True)
    return Axis(name, lambda config: _field(config, name))


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


def _config(row: Row) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(row["config"])
    return config
