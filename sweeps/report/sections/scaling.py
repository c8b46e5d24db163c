"""The report of several sweeps: side by side, and power laws through their best configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hrm.system.format import format_flops
from sweeps.analysis.comparison import Verdict
from sweeps.analysis.scaling import (
    AXES,
    PARAMETERS,
    TRAINING_FLOPS,
    ScalingFit,
    ScalingPoint,
    build_point,
    fit_scaling_laws,
)
from sweeps.analysis.statistics import estimate
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.report.blocks import Block, Figure, Items, Report, Section, Table, Text, list_figures
from sweeps.report.charts.comparison import build_side_by_side, name_sweep
from sweeps.report.charts.scaling import build_scaling
from sweeps.report.format import (
    NONE,
    format_count,
    format_estimate,
    format_interval,
    format_prediction,
)
from sweeps.report.sections.provenance import describe_machine

Fits = Mapping[tuple[str, str], ScalingFit | str]
"""Quantity and axis to a fit, or the reason why there is none."""
SIDE_BY_SIDE = "Several sweeps, side by side"
"""The title if no law joins them."""
FARTHEST = 100
"""Presets beyond so many times the largest sweep are not extrapolated to."""


def build_scaling_report(folders: Sequence[SweepFolder]) -> Report:
    """Build the report of several sweeps."""
    questions = dict.fromkeys(folder.metadata.question for folder in folders)
    sections: list[Section | None] = [build_comparison(folders)]
    fits: Fits = {}
    if reason := _explain_difference(folders):
        sections.append(Section("No common law", [Text(reason)]))
    else:
        found = [build_point(folder, name_sweep(i, folder)) for i, folder in enumerate(folders)]
        points = [point for point in found if point is not None]
        fits = fit_scaling_laws(points) if points else {}
        presets = _choose_presets(points)
        sections.append(_build_laws(points, fits, presets))
        sections.append(_build_sweeps(points, len(folders)))
        sections.append(_build_extrapolation(fits, presets))
    any_law = bool(_list_fitted(fits))
    sections.append(_build_reading_guide() if any_law else None)
    return Report(
        title="How the best configuration changes with its size" if any_law else SIDE_BY_SIDE,
        opening=f"{len(folders)} sweeps: {'; '.join(questions)}",
        sections=[section for section in sections if section is not None],
    )


def build_comparison(folders: Sequence[SweepFolder]) -> Section:
    """Build a row per sweep and, if they have a metric in common, a figure."""
    verdicts = [_find_verdict(folder) for folder in folders]
    rows = [_build_row(i, folder, verdict) for i, (folder, verdict) in enumerate(zip(folders, verdicts))]
    header = ["sweep", "task", "budget", "seed", "metric", "best configuration", "best preset", "verdict"]
    counts = [f"**{verdict}** in {verdicts.count(verdict)}" for verdict in dict.fromkeys(verdicts)]
    tally = f"The best configuration against the best preset: {', '.join(counts)} of {len(verdicts)} sweeps."
    chart = build_side_by_side(folders)
    missing = "No figure: the sweeps have no metric and data in common, or nothing was confirmed."
    blocks: list[Block] = [
        Table([*header, "runs", "training", "commit", "machine"], rows),
        Text(tally),
        Text(missing) if chart is None else Figure("side_by_side", chart),
    ]
    return Section("Side by side", blocks)


def _build_row(index: int, folder: SweepFolder, verdict: Verdict) -> list[str]:
    metadata, found, search = folder.metadata, folder.comparisons, folder.select("search")
    commit = (metadata.provenance.commit or NONE)[:8] + (" with changes" if metadata.provenance.dirty else "")
    means = [
        NONE if arm is None else f"{arm.name}: {format_estimate(folder.estimate(arm, found.metrics[0]))}"
        for arm in (found.best_finalist, found.best_preset)
    ]
    return [
        name_sweep(index, folder),
        metadata.task,
        format_count(metadata.max_params),
        str(search[0]["seed"]) if search else NONE,
        found.metrics[0],
        *means,
        f"**{verdict}**",
        str(len(folder.trials)),
        format_flops(sum(row["train_flops"] or 0 for row in folder.trials)),
        commit,
        describe_machine(folder),
    ]


def _find_verdict(folder: SweepFolder) -> Verdict:
    """Return the verdict on the best finalist against the best preset."""
    found = folder.comparisons
    finalist, preset = found.best_finalist, found.best_preset
    pairs = found.select(finalist, found.metrics[0]) if finalist and preset else []
    return next(
        (pair.verdict for pair in pairs if preset and pair.baseline.name == preset.name), "no verdict"
    )


def _explain_difference(folders: Sequence[SweepFolder]) -> str:
    """Return why the sweeps cannot be compared; empty if they can."""
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


def _choose_presets(points: Sequence[ScalingPoint]) -> dict[str, int]:
    """Return the presets larger than every sweep, as far as extrapolation goes, the smallest first."""
    largest = max((point.best.axes[PARAMETERS] for point in points), default=0)
    presets = {name: params for point in points for name, params in point.presets.items()}
    near = {name: params for name, params in presets.items() if largest < params <= FARTHEST * largest}
    return dict(sorted(near.items(), key=lambda entry: entry[1]))


def _list_fitted(fits: Fits) -> list[ScalingFit]:
    return [fit for fit in fits.values() if isinstance(fit, ScalingFit)]


def _build_laws(points: Sequence[ScalingPoint], fits: Fits, presets: Mapping[str, int]) -> Section:
    fitted = _list_fitted(fits)
    if not fitted:
        reasons = "; ".join(dict.fromkeys(map(str, fits.values())))
        reasons = reasons or "no sweep has a finalist with two completed confirmations"
        return Section("Laws", [Text(f"There is no law: {reasons}.")])
    charts = {
        f"scaling_{axis.replace(' ', '_')}": build_scaling(
            points, [f for f in fitted if f.axis == axis], presets
        )
        for axis in AXES
    }
    header = ["quantity", "against", "exponent (95%)", "largest sweep, predicted by the others", "observed"]
    table = Table([*header, "held"], [_build_law_row(fit) for fit in fitted])
    items = [f"{quantity} against {axis}: {_describe_fit(fit)}" for (quantity, axis), fit in fits.items()]
    return Section("Laws", [Items(items), *list_figures(**charts), table])


def _describe_fit(fit: ScalingFit | str) -> str:
    if isinstance(fit, str):
        return f"no law: {fit}."
    trend = (
        f"**{fit.law.trend}**"
        if fit.law.trend in ("grows", "falls")
        else "no clear trend, the exponent may be 0"
    )
    text = f"{trend}, exponent {format_prediction(fit.law.exponent_interval)}, {len(fit.x)} sweeps."
    if fit.held_out is None:
        return f"{text} Untested: leaving the largest out leaves too few."
    if fit.may_extrapolate:
        return f"{text} The law of the others predicted the largest sweep within its interval."
    return f"{text} **The law of the others failed at the largest sweep: do not extrapolate.**"


def _build_law_row(fit: ScalingFit) -> list[str]:
    row = [fit.quantity, fit.axis, format_prediction(fit.law.exponent_interval)]
    if fit.held_out is None:
        return [*row, NONE, NONE, NONE]
    held = "yes" if fit.may_extrapolate else "**no**"
    return [*row, format_prediction(fit.held_out), f"{fit.largest:.3g}", held]


def _build_sweeps(points: Sequence[ScalingPoint], num_sweeps: int) -> Section | None:
    if not points:
        return None
    shapes = list(points[0].best.shape)
    rows = []
    for point in sorted(points, key=lambda point: point.best.axes[PARAMETERS]):
        best = point.best
        sizes = [format_count(best.axes[PARAMETERS]), format_flops(best.axes[TRAINING_FLOPS])]
        error = format_interval(estimate(list(best.errors), point.least_error))
        shape = [f"{best.shape[name]:g}" if name in best.shape else NONE for name in shapes]
        rows.append([point.label, best.name, *sizes, error, str(len(best.errors)), *shape])
    header = ["sweep", "best configuration", *AXES, points[0].error_name, "n", *shapes]
    blocks: list[Block] = [Table(header, rows)]
    if len(points) < num_sweeps:
        blocks.append(Text(f"{num_sweeps - len(points)} sweep(s) without a confirmed finalist are left out."))
    return Section("Sweeps", blocks)


def _build_extrapolation(fits: Fits, presets: Mapping[str, int]) -> Section | None:
    fitted = [fit for fit in _list_fitted(fits) if fit.axis == PARAMETERS]
    if not fitted or not presets:
        return None
    largest = max(float(fit.x.max()) for fit in fitted)
    rows = []
    for name, params in presets.items():
        predictions = [format_prediction(fit.law.predict(params)) for fit in fitted]
        cells = [text if fit.may_extrapolate else "the law failed" for fit, text in zip(fitted, predictions)]
        rows.append([name, format_count(params), f"{params / largest:.1f}", *cells])
    header = ["size of", "parameters", "times the largest sweep", *(fit.quantity for fit in fitted)]
    text = (
        "**This is extrapolation**: what a sweep with the budget of a preset's size would find if the law continued. "
        "Nothing of that size was trained."
    )
    return Section("Extrapolated to the presets' sizes", [Text(text), Table(header, rows)])


def _build_reading_guide() -> Section:
    items = [
        "Each sweep adds one point: the best of its finalists by the search's objective on fresh seeds, with its "
        "error on the test split.",
        "A law is y = a x^b, fitted by least squares in logarithms. Intervals are of 95%, by bootstrap: seeds of "
        "every finalist are resampled and the best chosen again; where the sweeps lie further from the law than "
        "their seeds explain, the rest is added as scatter of whole sweeps.",
        "A further sweep is expected within the interval of a value in 95 of 100 cases, if the law holds there.",
        "The law is tested by leaving the largest sweep out: the others must predict it.",
    ]
    return Section("How to read this", [Items(items)])
