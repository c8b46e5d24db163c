"""Main effects of the searched dimensions, and their importance by two methods."""

from __future__ import annotations

from statistics import fmean

from sweeps.report import style
from sweeps.report.charts.chart import Axis, Bars, Chart, Layer, Panel, Points
from sweeps.report.folder import Folder
from sweeps.report.numbers import percent, plus_minus, score
from sweeps.results.schema import PARAMETER_PREFIX
from sweeps.verdict.effects import MAX_LEVELS, Effect, Level
from sweeps.verdict.importance import METHODS
from sweeps.verdict.statistics import Estimate

MIN_RUNS = 3
"""Of an interval that is drawn: one of two runs is wider than any figure."""
METHOD_COLOURS = ("blue", "orange")


def main_effects(folder: Folder) -> Chart | None:
    """A panel a dimension: every trial, and the mean of each value; None where none varies."""
    evidence = folder.evidence
    if evidence is None or not folder.effects:
        return None
    return Chart(
        title=f"Main effects at {evidence.fraction:.0%} of a run, n = {len(evidence.rows)} trials",
        caption=f"Objective of every search trial after {evidence.fraction:.0%} of its training, the last report "
        f"that all reached, over each searched value; squares are means, with 95% intervals where {MIN_RUNS} trials "
        "or more share a value. Other values differ too.",
        panels=[_panel(folder, effect) for effect in folder.effects],
        wide=10.8,
        height=3.4 * -(-len(folder.effects) // 3) + 0.6,
    )


def _panel(folder: Folder, effect: Effect) -> Panel:
    evidence = folder.evidence
    assert evidence is not None
    words = any(isinstance(value, str | bool) for level in effect.levels for value in level.values)
    names = [level.label for level in effect.levels] if words else []
    dots_x: list[float] = []
    for row in evidence.rows:
        value = row[PARAMETER_PREFIX + effect.name]
        dots_x.append(float(names.index(str(value)) if words else value))
    at = [float(i) if words else fmean(level.values) for i, level in enumerate(effect.levels)]
    means = [level.score for level in effect.levels]
    notes = [_told(effect, level) for level in effect.levels]
    layers: list[Layer] = [
        Points(x=dots_x, y=list(evidence.scores), colour="grey", size=3.5, hollow=True),
        Points(x=at, y=[mean.mean for mean in means], y_error=[_bar(mean) for mean in means],
               mark="square", size=7, notes=notes),
    ]  # fmt: skip
    positive = not words and min(dots_x) > 0
    log = positive and max(dots_x) / min(dots_x) >= 8
    grid = sorted(set(dots_x)) if log and len(set(dots_x)) <= MAX_LEVELS else []
    axis = Axis(label=effect.name, names=names, log=log, ticks=grid,
                whole=not words and all(at.is_integer() for at in dots_x))  # fmt: skip
    return Panel(x=axis, y=Axis(label=style.metric_label(folder.context.objective)), layers=layers)


def _bar(mean: Estimate) -> float:
    return mean.half_width if mean.half_width is not None and mean.n >= MIN_RUNS else 0.0


def _told(effect: Effect, level: Level) -> str:
    mean = plus_minus(level.score.mean, level.score.half_width)
    return f"{effect.name}={level.label}: {mean}, n = {level.score.n}"


def importance(folder: Folder) -> Chart | None:
    """Bars of both methods; None where too few trials tell."""
    found, evidence = folder.importances, folder.evidence
    if found is None or evidence is None:
        return None
    names = list(next(iter(found.values())))
    layers = [
        Bars(
            name=method,
            at=[i + 0.2 * (2 * k - 1) for i in range(len(names))],
            start=[0.0] * len(names),
            length=[shares[name] for name in names],
            height=0.36,
            colour=METHOD_COLOURS[k],
            notes=[f"{name}, {method}: {score(shares[name])} ({percent(shares[name])})" for name in names],
        )
        for k, (method, shares) in enumerate(found.items())
    ]
    asked = "; ".join(f"{method}: {question}" for method, question in METHODS.items())
    return Chart(
        title=f"Importance by two methods, n = {len(evidence.rows)} trials",
        caption=f"Share of each searched dimension. The methods ask different things and may disagree. {asked}.",
        panels=[
            Panel(x=Axis(label="importance (share)", low=0), y=Axis(label="", names=names), layers=layers)
        ],
        height=1.4 + 0.6 * len(names),
    )
