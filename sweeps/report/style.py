"""How every figure looks: fonts, a palette that colour-blind readers can tell apart, quiet axes."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's palette.
BLUE, SKY, ORANGE, VERMILION, GREEN, PINK = "#0072B2", "#56B4E9", "#E69F00", "#D55E00", "#009E73", "#CC79A7"
INK, GREY, LIGHT = "#222222", "#8A8A8A", "#DDDDDD"
ARM_COLOURS = (VERMILION, BLUE, GREEN, PINK, ORANGE, SKY)
COLOUR_MAP = "viridis"
DPI = 150


def figure(width: float = 7.2, height: float = 4.4) -> Figure:
    """An empty figure of this size in inches; it never touches pyplot's global state."""
    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def quiet(axes: Axes) -> None:
    """Leaves of the frame what carries numbers."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)
    axes.tick_params(colors=INK, labelsize=9)
    axes.grid(axis="y", color=LIGHT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.xaxis.label.set_fontsize(10)
    axes.yaxis.label.set_fontsize(10)


def title(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=10.5, color=INK)


def legend(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8.5, framealpha=0.85, edgecolor="none", loc="best")


def legend_below(figure: Figure, axes: Axes) -> None:
    """A legend outside of the panels, for figures with data in every corner."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8.5, frameon=False)


def metric_label(name: str) -> str:
    """`valid/blank_accuracy_auc` as an axis says it, with its unit."""
    split, _, metric = name.partition("/")
    over_curve = metric.endswith("_auc")
    metric = metric.removesuffix("_auc")
    unit = "nats" if metric.endswith("loss") else "fraction"
    words = metric.replace("_", " ").replace("q halt", "Q-halt")
    where = {"valid": "validation", "test": "test", "train": "training"}.get(split, split)
    return f"{words}, {where}\n(mean over the run, {unit})" if over_curve else f"{words}, {where} ({unit})"
