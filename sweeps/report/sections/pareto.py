"""The Pareto front of several objectives: its members, its hypervolume, and the presets in comparison."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.analysis.comparison import Arm, Comparison
from sweeps.analysis.pareto import Pareto, ParetoEntry
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.report.blocks import Block, Items, Section, Table, Text, list_figures
from sweeps.report.charts.pareto import build_front
from sweeps.report.format import format_count, format_estimate, format_score, format_values
from sweeps.results.schema import OBJECTIVE_PREFIX, PARAMETER_PREFIX
from sweeps.search.objectives import LATENCY

LATENCY_NOTE = (
    "Latency is what each trial measured on its device for one sequence, while other trials were running: another "
    "run of the same command may measure, and so search, differently."
)


def build_pareto(folder: SweepFolder) -> Section | None:
    """Build the front and what is known of its members; None with one objective."""
    found = folder.pareto
    if found is None:
        return None
    blocks: list[Block] = [
        Text(f"**{_summarize(found)}**"),
        Text(_describe_hypervolume(found)),
        *list_figures(front=build_front(folder)),
        _build_front_table(folder, found),
    ]
    if LATENCY.name in found.objectives:
        blocks.append(Text(LATENCY_NOTE))
    if found.presets:
        presets = [_describe_preset(found, preset) for preset in found.presets]
        blocks += [Text("The presets in comparison:"), Items(presets)]
    metric = folder.comparisons.metrics[0]
    pairs = [_describe_pair(folder, pair) for pair in folder.comparisons.all if pair.metric == metric]
    if pairs:
        blocks += [Text("On fresh seeds, with what is counted exactly:"), Items(pairs)]
    return Section("Pareto front", blocks)


def _summarize(found: Pareto) -> str:
    goals = [
        f"{name} ({'higher' if direction == 'maximize' else 'lower'} is better)"
        for name, direction in zip(found.objectives, found.directions, strict=True)
    ]
    return (
        f"{len(found.front)} of {found.num_configurations} completed configurations are on the front of "
        f"{', '.join(goals)}: no other is as good in all and better in one."
    )


def _describe_hypervolume(found: Pareto) -> str:
    return (
        f"Hypervolume {found.hypervolume:.4f}, that of the presets alone {found.hypervolume_of_presets:.4f}: the "
        f"share of the box from the reference point ({_format_named(found, found.reference)}) to the ideal that "
        "they dominate. The reference point was fixed before the sweep began, so sweeps with the same one can be "
        "compared. Scores are of one seed each, the best of many: the front flatters."
    )


def _describe_preset(found: Pareto, preset: ParetoEntry) -> str:
    values = _format_named(found, preset.values)
    if not preset.dominated_by:
        return f"{preset.name} ({values}) would be on the front: no searched configuration dominates it."
    on_front = [one.name for one in found.front if one.name in preset.dominated_by]
    return f"{preset.name} ({values}) is dominated by {', '.join(on_front)}, one seed each."


def _describe_pair(folder: SweepFolder, pair: Comparison) -> str:
    """Return a finalist's verdict in the tested metric, then its costs next to the baseline's."""
    parts = [f"{pair.finalist.name} and {pair.baseline.name}: {pair.metric} **{pair.verdict}**"]
    for name in folder.metadata.goals.costs:
        mine, theirs = _get_cost(pair.finalist, name), _get_cost(pair.baseline, name)
        if mine is not None and theirs:
            share = (mine - theirs) / theirs
            parts.append(f"{name} {format_count(mine)} against {format_count(theirs)} ({share:+.1%})")
    return "; ".join(parts) + "."


def _get_cost(arm: Arm, name: str) -> float | None:
    return next(iter(arm.get_scores(OBJECTIVE_PREFIX + name)), None)


def _format_named(found: Pareto, values: Sequence[float]) -> str:
    return ", ".join(
        f"{name} {text}" for name, text in zip(found.objectives, _format_objectives(found, values))
    )


def _format_objectives(found: Pareto, values: Sequence[float]) -> list[str]:
    texts = []
    for name, value in zip(found.objectives, values, strict=True):
        if name == LATENCY.name:
            texts.append(f"{value * 1000:.2f} ms")
        else:
            texts.append(format_score(value) if name.startswith("valid/") else format_count(value))
    return texts


def _build_front_table(folder: SweepFolder, found: Pareto) -> Table:
    metric = folder.comparisons.metrics[0]
    arms = {arm.name: folder.estimate(arm, metric) for arm in folder.comparisons.arms}
    trials = {row["number"]: row for row in folder.trials}
    header = ["on the front", *(f"`{name}`" for name in found.objectives), f"{metric}, fresh seeds", "values"]
    rows = []
    for one in found.front:
        trial = trials[one.numbers[0]]
        values = format_values({name: trial[PARAMETER_PREFIX + name] for name in folder.metadata.value_names})
        rows.append(
            [one.name, *_format_objectives(found, one.values), format_estimate(arms.get(one.name)), values]
        )
    return Table(header, rows)
