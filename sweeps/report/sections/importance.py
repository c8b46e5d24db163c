"""Which dimension of the space matters, in words that the rows support."""

from __future__ import annotations

from collections.abc import Mapping

from sweeps.analysis.importance import MIN_TRIALS, TEST_NAME, Effect, Evidence
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.report.blocks import Block, Figure, Items, Section, Text
from sweeps.report.charts.chart import Chart
from sweeps.report.format import format_interval, p_value


def knobs(folder: SweepFolder, charts: Mapping[str, Chart]) -> Section | None:
    """The answer for each searched dimension, with the figures that it rests on; None where none varies."""
    evidence = folder.evidence
    if evidence is None or not folder.effects:
        return None
    blocks: list[Block] = [
        Text(f"**{lead(folder.effects, evidence)}**"),
        Items([sentence(folder, effect) for effect in folder.effects]),
        Text(_basis(folder, evidence)),
    ]
    blocks += [Figure(name, charts[name]) for name in ("main_effects", "importance") if name in charts]
    return Section("Which knob matters", blocks)


def lead(effects: list[Effect], evidence: Evidence) -> str:
    """The answer in a sentence."""
    when = "" if evidence.fraction >= 0.995 else f", {evidence.fraction:.0%} into training"
    if all(effect.answer == "too few trials" for effect in effects):
        return f"Too few trials to tell which dimension matters: {len(evidence.rows)} here, of {MIN_TRIALS} at least."
    found = [effect.name for effect in _by_share(effects) if effect.answer == "matters"]
    if not found:
        return f"No dimension is distinguishable from no effect among {len(evidence.rows)} trials{when}."
    verb = "matters" if len(found) == 1 else "matter"
    *others, last = found
    listed = f"{', '.join(others)} and {last}" if others else last
    return f"{listed} {verb} among {len(evidence.rows)} trials{when}."


def sentence(folder: SweepFolder, effect: Effect) -> str:
    """What the rows say of one dimension, and no more."""
    if effect.answer == "too few trials" or effect.explained is None:
        return f"`{effect.name}`: too few trials to tell."
    p = (
        f"p {p_value(effect.p_adjusted)}"
        if (effect.p_adjusted or 0) < 0.001
        else f"p = {p_value(effect.p_adjusted)}"
    )
    if effect.answer == "not distinguishable":
        return f"`{effect.name}`: not distinguishable from no effect ({p}, corrected)."
    goal = folder.metadata.goal
    ranked = sorted(effect.levels, key=lambda level: goal.get_sort_key(level.score.mean))
    best, worst = (
        f"{level.label} ({format_interval(level.score.mean, level.score.half_width)}, n = {level.score.n})"
        for level in (ranked[0], ranked[-1])
    )
    return (
        f"`{effect.name}` matters: best at {best}, worst at {worst}; its values explain {effect.explained:.0%} of "
        f"the variance between trials ({p}, corrected)."
    )


def _by_share(effects: list[Effect]) -> list[Effect]:
    return sorted(effects, key=lambda effect: -(effect.explained or 0))


def _basis(folder: SweepFolder, evidence: Evidence) -> str:
    end = "at its end" if evidence.fraction >= 0.995 else f"after {evidence.fraction:.0%} of the training"
    text = (
        f"Judged by `{folder.metadata.objective}` {end}, the last report that all {len(evidence.rows)} trials "
        f"reached, one seed each: pruned trials count like the others. Test: {TEST_NAME}. An effect is of the "
        "dimension alone, with whatever else the search changed along with it"
    )
    if folder.metadata.derived:
        text += f" (under the budget {' and '.join(folder.metadata.derived)} follow)"
    text += "; it need not hold later in training."
    if evidence.left_out:
        text += f" {evidence.left_out} failed trials never got there and are not counted."
    return text
