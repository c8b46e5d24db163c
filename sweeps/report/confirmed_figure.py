"""The confirmed arms on the test split: a dot a seed, mean and interval."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sweeps.report import style, wording
from sweeps.report.folder import Folder


def draw(folder: Folder) -> tuple[Figure, str] | None:
    """A panel a metric, a line an arm; None when nothing was confirmed."""
    found = folder.comparisons
    metrics = [metric for metric in found.metrics if any(arm.values_of(metric) for arm in found.arms)]
    if not metrics:
        return None
    figure = style.figure(3.6 * len(metrics) + 1.6, 1.5 + 0.55 * len(found.arms))
    panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for panel, metric in zip(panels, metrics, strict=True):
        _draw_panel(panel, folder, metric)
    names = [f"{arm.name}\n{arm.params:,} parameters" for arm in found.arms]
    panels[0].set_yticks(range(len(names)), names)
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    style.title(panels[0], f"Confirmed on fresh seeds, {folder.context.task}")
    return figure, "Confirmed arms: open dots are single seeds, bars the mean with its 95% interval."


def _draw_panel(panel: Axes, folder: Folder, metric: str) -> None:
    for line, arm in enumerate(folder.comparisons.arms):
        scores = arm.values_of(metric)
        mean = wording.confirmed(folder, arm, metric)
        if mean is None:
            continue
        colour = style.INK if arm.is_baseline else style.VERMILION
        panel.errorbar(
            mean.mean, line, xerr=mean.half_width, fmt="s", ms=6, capsize=4, color=colour, zorder=3
        )
        panel.plot(scores, [line + 0.22] * len(scores), "o", ms=4.5, mfc="none", mec=colour)
        panel.annotate(f"n = {mean.n}", (mean.mean, line), xytext=(0, 8), textcoords="offset points",
                       ha="center", fontsize=8, color=style.GREY)  # fmt: skip
    panel.set_xlabel(style.metric_label(metric))
    style.quiet(panel)
    panel.grid(axis="x", color=style.LIGHT, linewidth=0.6)
    panel.grid(axis="y", visible=False)
