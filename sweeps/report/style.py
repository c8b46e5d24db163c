"""How every figure looks: a palette that colour-blind readers can tell apart, and the words on its axes."""

from __future__ import annotations

COLOURS = {
    "blue": "#0072B2",
    "sky": "#56B4E9",
    "orange": "#E69F00",
    "vermilion": "#D55E00",
    "green": "#009E73",
    "pink": "#CC79A7",
    "ink": "#222222",
    "grey": "#8A8A8A",
    "light": "#DDDDDD",
}
"""Okabe and Ito's palette, and three greys, on a white background."""
ARM_COLOURS = ("vermilion", "blue", "green", "pink", "orange", "sky")
STATUS_COLOURS = {"completed": "sky", "pruned": "orange", "failed": "vermilion"}
COLOUR_MAP = "viridis"
DPI = 150


def metric_label(name: str) -> str:
    """`valid/blank_accuracy_auc` as an axis says it, with its unit."""
    split, _, metric = name.partition("/")
    over_curve = metric.endswith("_auc")
    metric = metric.removesuffix("_auc")
    unit = "nats" if metric.endswith("loss") else "fraction"
    words = metric.replace("_", " ").replace("q halt", "Q-halt")
    where = {"valid": "validation", "test": "test", "train": "training"}.get(split, split)
    return f"{words}, {where} (mean over the run)" if over_curve else f"{words}, {where} ({unit})"
