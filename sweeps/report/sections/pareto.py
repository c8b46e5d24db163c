"""The Pareto front of several objectives: who is on it, how much it dominates, where the presets stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sweeps.analysis.comparison import Arm, Comparison
from sweeps.analysis.pareto import Pareto, Standing
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.report import format as wording
from sweeps.report.blocks import Block, Figure, Items, Section, Table, Text
from sweeps.report.charts.chart import Chart
from sweeps.report.format import NONE, assignments, count, format_interval, score
from sweeps.results.schema import OBJECTIVE_PREFIX, PARAMETER_PREFIX
from sweeps.search.objectives import LATENCY

LATENCY_NOTE = (
    "Latency is what each trial measured on its device for one sequence, while other trials ran beside it: another "
    "run of the same command may measure, and so search, differently."
)


def pareto(folder: SweepFolder, charts: Mapping[str, Chart]) -> Section | None:
    """The front and what is known of its members; None where one objective was asked for."""
    found = folder.pareto
    if found is None:
        return None
    blocks: list[Block] = [
        Text(f"**{lead(found)}**"),
        Text(volume(found)),
        *(Figure(name, charts[name]) for name in ("front",) if name in charts),
        _front_table(folder, found),
    ]
    if LATENCY.name in found.objectives:
        blocks.append(Text(LATENCY_NOTE))
    if found.presets:
        blocks += [Text("Where the presets stand:"), Items([place(found, one) for one in found.presets])]
    pairs = [
        confirmed(folder, pair)
        for pair in folder.comparisons.all
        if pair.metric == folder.comparisons.metrics[0]
    ]
    if pairs:
        blocks += [Text("On fresh seeds, with what is counted exactly:"), Items(pairs)]
    return Section("Pareto front", blocks)


def lead(found: Pareto) -> str:
    """How many are on the front, and of what."""
    goals = [
        f"{name} ({'higher' if direction == 'maximize' else 'lower'} is better)"
        for name, direction in zip(found.objectives, found.directions, strict=True)
    ]
    return (
        f"{len(found.front)} of {found.num_configurations} completed configurations are on the front of "
        f"{', '.join(goals)}: no other is as good in all and better in one."
    )


def volume(found: Pareto) -> str:
    """The hypervolume, and between which points."""
    return (
        f"Hypervolume {found.hypervolume:.4f}, that of the presets alone {found.hypervolume_of_presets:.4f}: the "
        f"share of the box from the reference point ({named(found, found.reference)}) to the ideal that they hold. "
        "The reference point was fixed before the sweep began, so sweeps with the same one can be compared. Scores "
        "are of one seed each, the best of many: the front flatters."
    )


def place(found: Pareto, preset: Standing) -> str:
    """A preset's place among what was searched."""
    values = named(found, preset.values)
    if not preset.dominated_by:
        return f"{preset.name} ({values}) would be on the front: no searched configuration dominates it."
    on_front = [one.name for one in found.front if one.name in preset.dominated_by]
    return f"{preset.name} ({values}) is dominated by {', '.join(on_front)}, one seed each."


def confirmed(folder: SweepFolder, pair: Comparison) -> str:
    """What a finalist is worth beside a baseline: the tested metric, then the costs."""
    costs = [
        f"{name} {count(mine)} against {count(theirs)} ({(mine - theirs) / theirs:+.1%})"
        for name in folder.metadata.goals.costs
        if (mine := _cost(pair.finalist, name)) is not None and (theirs := _cost(pair.baseline, name))
    ]
    return (
        "; ".join(
            [f"{pair.finalist.name} and {pair.baseline.name}: {pair.metric} **{pair.verdict}**", *costs]
        )
        + "."
    )


def named(found: Pareto, values: Sequence[float]) -> str:
    """Objectives with their values."""
    return ", ".join(
        f"{name} {text}" for name, text in zip(found.objectives, texts(found, values), strict=True)
    )


def texts(found: Pareto, values: Sequence[float]) -> list[str]:
    """The objectives' values, counts as whole numbers."""
    pairs = zip(found.objectives, values, strict=True)
    return [_text(name, value) for name, value in pairs]


def _text(name: str, value: float) -> str:
    if name == LATENCY.name:
        return f"{value * 1000:.2f} ms"
    return score(value) if name.startswith("valid/") else count(value)


def _cost(arm: Arm, name: str) -> float | None:
    values = arm.get_scores(OBJECTIVE_PREFIX + name)
    return values[0] if values else None


def _front_table(folder: SweepFolder, found: Pareto) -> Table:
    names, arms = folder.metadata.value_names, {arm.name: arm for arm in folder.comparisons.arms}
    metric = folder.comparisons.metrics[0]
    rows_of = {row["number"]: row for row in folder.trials}
    header = ["on the front", *(f"`{name}`" for name in found.objectives), f"{metric}, fresh seeds", "values"]
    rows = []
    for one in found.front:
        mean = wording.confirmed(folder, arms[one.name], metric) if one.name in arms else None
        tested = f"{format_interval(mean.mean, mean.half_width)}, n = {mean.n}" if mean else NONE
        rows.append([
            one.name,
            *texts(found, one.values),
            tested,
            assignments({name: rows_of[one.numbers[0]][PARAMETER_PREFIX + name] for name in names}),
        ])  # fmt: skip
    return Table(header, rows)
