"""The search's objective against the shape: depth with width as colour, or each searched value."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sweeps.report import style, wording
from sweeps.report.folder import Folder, Row
from sweeps.results.schema import PARAMETER_PREFIX

MAX_PANELS = 4
LEARNING_RATE = "lr"


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
    colour = _colour_axis(trials, axes[0])
    figure = style.figure(max(7.2, 3.6 * len(axes)), 4.6)
    panels = figure.subplots(1, len(axes), sharey=True, squeeze=False)[0]
    for panel, axis in zip(panels, axes, strict=True):
        _draw_panel(panel, axis, colour, folder, trials)
    panels[0].set_ylabel(style.metric_label(folder.context.objective))
    figure.colorbar(_colours(trials, colour), ax=list(panels), label=colour.label, pad=0.02, aspect=30)
    style.legend(panels[-1])
    pruned = len(folder.of("search", "pruned"))
    title = f"{folder.context.task}, {len(trials)} completed search trials, one seed each"
    style.title(panels[0], title)
    return figure, _caption(folder, axes, colour, pruned)


def _caption(folder: Folder, axes: Sequence[Axis], colour: Axis, pruned: int) -> str:
    text = f"Objective against {' and '.join(axis.label for axis in axes)}; colour is {colour.label}."
    if folder.context.max_params is not None:
        text += f" Every shape stays within {folder.context.max_params:,} parameters."
    text += " Diamonds are the presets' trials, the dashed line the best of them."
    if folder.comparisons.arms:
        text += " Squares with bars are the confirmed arms: mean and 95% interval over fresh seeds."
    return text + (f" {pruned} pruned trials are not shown." if pruned else "")


def _draw_panel(panel: Axes, axis: Axis, colour: Axis, folder: Folder, trials: Sequence[Row]) -> None:
    mapped = _colours(trials, colour)
    x, y = [axis.of(_config(row)) for row in trials], [row["objective"] for row in trials]
    shades = [mapped.to_rgba(colour.of(_config(row))) for row in trials]
    panel.scatter(x, y, c=shades, s=42, edgecolors="white", linewidths=0.6, zorder=3)
    baselines = folder.ranked(folder.of("baseline"))
    for row in baselines:
        panel.plot(axis.of(_config(row)), row["objective"], "D", ms=6, mfc="none", mec=style.INK, zorder=4)
    if baselines:
        best = baselines[0]
        label = f"{best['arm']} at its best, {best['objective']:.3f}"
        panel.axhline(best["objective"], color=style.INK, linestyle="--", linewidth=1, label=label)
    for i, arm in enumerate(folder.comparisons.arms):
        found = wording.confirmed(folder, arm, "objective")
        if found is not None:
            shade = style.INK if arm.is_baseline else style.ARM_COLOURS[i % len(style.ARM_COLOURS)]
            look: dict[str, Any] = {
                "fmt": "s",
                "ms": 9,
                "mfc": "none",
                "mew": 1.6,
                "capsize": 4,
                "color": shade,
            }
            label = f"{arm.name} confirmed, n = {found.n}"
            panel.errorbar(axis.of(arm.config), found.mean, yerr=found.half_width, label=label, **look)
    if axis.log:
        panel.set_xscale("log")
    elif all(isinstance(value, int) for value in x):
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.set_xlabel(axis.label)
    style.quiet(panel)


def _dimensions(folder: Folder, trials: Sequence[Row]) -> list[Axis]:
    """What the space varies, the learning rate last; depth and cycles as one number each."""
    varied = [name for name in folder.context.parameters if _varies(trials, name)]
    axes = []
    if {"H_layers", "L_layers"} & set(varied):
        axes.append(Axis("layers (H + L)", _depth))
    if {"H_cycles", "L_cycles"} & set(varied):
        axes.append(Axis("L-steps of a segment (H_cycles x L_cycles)", _l_steps))
    merged = ("H_layers", "L_layers", "H_cycles", "L_cycles", LEARNING_RATE)
    axes += [_named(name) for name in varied if name not in merged and _is_number(trials, name)]
    return [*axes, _named(LEARNING_RATE)]


def _colour_axis(trials: Sequence[Row], first: Axis) -> Axis:
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
    return Axis(name.replace("_", " ") if name.islower() else name, lambda config: _field(config, name))


def _field(config: dict[str, Any], name: str) -> Any:
    field = name.rpartition(".")[2]
    return next((config[part][field] for part in ("model", "train") if field in config[part]), math.nan)


def _depth(config: dict[str, Any]) -> int:
    return int(config["model"]["H_layers"] + config["model"]["L_layers"])


def _l_steps(config: dict[str, Any]) -> int:
    return int(config["model"]["H_cycles"] * config["model"]["L_cycles"])


def _varies(trials: Sequence[Row], name: str) -> bool:
    return len({row[PARAMETER_PREFIX + name] for row in trials}) > 1


def _is_number(trials: Sequence[Row], name: str) -> bool:
    return all(isinstance(row[PARAMETER_PREFIX + name], int | float) for row in trials)


def _config(row: Row) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(row["config"])
    return config
