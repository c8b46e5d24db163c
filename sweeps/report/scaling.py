"""`scaling.md` and `scaling.html`: what several sweeps say together."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from hrm.system.files import write_text_atomically
from sweeps.analysis.scaling import AXES, Fit, Interval, Point, read, study
from sweeps.analysis.statistics import estimate
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.report.blocks import Block, Figure, Items, Report, Section, Table, Text
from sweeps.report.charts import comparison as beside_chart
from sweeps.report.charts.chart import Chart
from sweeps.report.charts.scaling import chart
from sweeps.report.format import NONE, count, flops, format_interval
from sweeps.report.sections.side_by_side import side_by_side

PAGE, MARKDOWN = "scaling.html", "scaling.md"
BESIDE = "Several sweeps, side by side"
"""The title where no law joins them."""
FARTHEST = 100
"""Presets beyond so many times the largest sweep are not extrapolated to."""


def write(folders: Sequence[Path]) -> str:
    """Writes what the sweeps say together into the folder above them; returns a line for the terminal."""
    from sweeps.report import blocks as markdown
    from sweeps.report import figures
    from sweeps.report import page as document

    out = above(folders)
    read_folders = [SweepFolder.read(folder) for folder in folders]
    said, charts = build(read_folders)
    figures.write(charts, out / "figures")
    write_text_atomically(out / MARKDOWN, markdown.render_markdown(said))
    write_text_atomically(out / PAGE, document.render_page(said))
    return f"Together: {os.path.relpath(out / MARKDOWN)}"


def above(folders: Sequence[Path]) -> Path:
    """The nearest folder that holds all of them and is none of them."""
    resolved = [folder.resolve() for folder in folders]
    common = Path(os.path.commonpath(resolved))
    return common.parent if common in resolved else common


def build(folders: Sequence[SweepFolder]) -> tuple[Report, dict[str, Chart]]:
    """The report and its figures by name."""
    opening = f"{len(folders)} sweeps: " + "; ".join(
        dict.fromkeys(folder.metadata.question for folder in folders)
    )
    beside = side_by_side(folders)
    if reason := _differ(folders):
        alone = Section("No common law", [Text(reason)])
        return Report(title=BESIDE, opening=opening, sections=[beside, alone]), _figures_of(beside)
    points = [
        point
        for i, folder in enumerate(folders)
        if (point := read(folder, beside_chart.name(i, folder))) is not None
    ]
    fits = study(points) if points else []
    any_law = any(fit.law is not None for fit in fits)
    beyond = _beyond(points)
    charts = {}
    for axis in AXES:
        drawn = chart(points, [fit for fit in fits if fit.axis == axis], beyond)
        if drawn is not None:
            charts[f"scaling_{axis.replace(' ', '_')}"] = drawn
    sections = [
        beside,
        _laws(fits, charts),
        _sweeps(points, len(folders)),
        _presets(fits, beyond),
        _how_to_read() if any_law else None,
    ]
    kept = [section for section in sections if section is not None]
    title = "How the best find changes with its size" if any_law else BESIDE
    return Report(title=title, opening=opening, sections=kept), {**_figures_of(beside), **charts}


def _figures_of(section: Section) -> dict[str, Chart]:
    return {block.name: block.chart for block in section.blocks if isinstance(block, Figure)}


def _differ(folders: Sequence[SweepFolder]) -> str:
    """Why the sweeps cannot be held against each other; empty where they can."""
    for name, values in {
        "task": {folder.metadata.task for folder in folders},
        "data": {folder.metadata.data_fingerprint[:16] for folder in folders},
        "objective": {folder.metadata.objective for folder in folders},
    }.items():
        if len(values) > 1:
            return (
                f"The sweeps differ in their {name} ({', '.join(sorted(values))}): no law joins their scores."
            )
    return ""


def _beyond(points: Sequence[Point]) -> dict[str, int]:
    """Presets larger than every find, as far as extrapolation goes."""
    if not points:
        return {}
    largest = max(point.best.axes[AXES[0]] for point in points)
    presets = {name: params for point in points for name, params in point.presets.items()}
    near = {name: params for name, params in presets.items() if largest < params <= FARTHEST * largest}
    return dict(sorted(near.items(), key=lambda entry: entry[1]))


def _laws(fits: Sequence[Fit], charts: Mapping[str, Chart]) -> Section:
    fitted = [fit for fit in fits if fit.law is not None]
    if not fitted:
        reasons = "; ".join(dict.fromkeys(fit.why_not for fit in fits))
        return Section(
            "Laws",
            [Text(f"There is no law: {reasons or 'no sweep has a find with two completed confirmations'}.")],
        )
    header = [
        "quantity",
        "against",
        "exponent (95%)",
        "largest sweep, foretold by the others",
        "found",
        "held",
    ]
    return Section("Laws", [
        Items([_sentence(fit) for fit in fits]),
        *(Figure(name, drawn) for name, drawn in charts.items()),
        Table(header, [_row(fit) for fit in fitted]),
    ])  # fmt: skip


def _sentence(fit: Fit) -> str:
    if fit.law is None:
        return f"{fit.quantity} against {fit.axis}: no law: {fit.why_not}."
    exponent = _interval(fit.law.exponent_interval)
    trend = f"**{fit.trend}**" if fit.trend in ("grows", "falls") else f"{fit.trend}, the exponent may be 0"
    text = f"{fit.quantity} against {fit.axis}: {trend}, exponent {exponent}, {len(fit.x)} sweeps."
    if fit.left_out is None:
        return f"{text} Untested: leaving the largest out leaves too few."
    if fit.left_out.holds:
        return f"{text} The law of the others foretold the largest sweep within its interval."
    return f"{text} **The law of the others failed at the largest sweep: do not extrapolate.**"


def _row(fit: Fit) -> list[str]:
    assert fit.law is not None
    left = fit.left_out
    return [
        fit.quantity,
        fit.axis,
        _interval(fit.law.exponent_interval),
        NONE if left is None else _interval(left.predicted),
        NONE if left is None else f"{left.seen:.3g}",
        NONE if left is None else "yes" if left.holds else "**no**",
    ]


def _sweeps(points: Sequence[Point], asked: int) -> Section | None:
    if not points:
        return None
    shapes = list(points[0].best.shape)
    rows = []
    for point in sorted(points, key=lambda point: point.best.axes[AXES[0]]):
        best = point.best
        mean = estimate(list(best.errors), point.least_error)
        assert mean is not None
        rows.append([
            point.label, best.name, count(best.axes[AXES[0]]), flops(best.axes[AXES[1]]),
            format_interval(mean.mean, mean.half_width), str(mean.n),
            *(f"{best.shape[name]:g}" if name in best.shape else NONE for name in shapes),
        ])  # fmt: skip
    header = ["sweep", "best find", *AXES, points[0].error_name, "n", *shapes]
    blocks: list[Block] = [Table(header, rows)]
    if len(points) < asked:
        blocks.append(Text(f"{asked - len(points)} sweep(s) without a confirmed find are left out."))
    return Section("Sweeps", blocks)


def _presets(fits: Sequence[Fit], beyond: Mapping[str, int]) -> Section | None:
    fitted = [fit for fit in fits if fit.law is not None and fit.axis == AXES[0]]
    if not fitted or not beyond:
        return None
    largest = max(float(fit.x.max()) for fit in fitted)
    rows = [
        [name, count(params), f"{params / largest:.1f}", *(_extrapolated(fit, params) for fit in fitted)]
        for name, params in beyond.items()
    ]
    header = ["size of", "parameters", "times the largest sweep", *(fit.quantity for fit in fitted)]
    text = (
        "**This is extrapolation**: what a sweep with the budget of a preset's size would find, were the law to "
        "go on. Nothing of that size was trained."
    )
    return Section("Extrapolated to the presets' sizes", [Text(text), Table(header, rows)])


def _extrapolated(fit: Fit, params: float) -> str:
    return _interval(fit.at(params)) if fit.may_extrapolate else "the law failed"


def _how_to_read() -> Section:
    return Section("How to read this", [Items([
        "Each sweep adds one point: the best of its finalists by the search's objective on fresh seeds, with its "
        "error on the test split.",
        "A law is y = a x^b, fitted by least squares in logarithms. Intervals are of 95%, by bootstrap: seeds of "
        "every finalist are resampled and the best chosen again; where the sweeps lie further from the law than "
        "their seeds explain, the rest is added as scatter of whole sweeps.",
        "A further sweep is expected within the interval of a value in 95 of 100 cases, if the law holds there.",
        "The law is tested by leaving the largest sweep out: the others must foretell it.",
    ])])  # fmt: skip


def _interval(found: Interval) -> str:
    return f"{_short(found.middle)} ({_short(found.low)} to {_short(found.high)})"


def _short(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) and abs(value) < 1e6 else f"{value:.0e}"
