"""Which searched dimension matters, in words that the rows support."""

from __future__ import annotations

from sweeps.analysis.importance import MIN_TRIALS, TEST_NAME, Effect
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.report.blocks import Items, Section, Text, list_figures
from sweeps.report.charts import dimensions
from sweeps.report.format import format_estimate, format_p_value


def build_importance(folder: SweepFolder) -> Section | None:
    """Build the answer for each searched dimension, with its figures; None if none varies."""
    if not folder.effects:
        return None
    return Section(
        "Hyperparameter importance",
        [
            Text(f"**{_summarize(folder)}**"),
            Items([_describe_effect(folder, effect) for effect in folder.effects]),
            Text(_describe_evidence(folder)),
            *list_figures(
                main_effects=dimensions.build_main_effects(folder),
                importance=dimensions.build_importance(folder),
            ),
        ],
    )


def _summarize(folder: SweepFolder) -> str:
    evidence, effects = folder.evidence, folder.effects
    assert evidence is not None
    num_trials = len(evidence.rows)
    when = "" if evidence.fraction >= 0.995 else f", {evidence.fraction:.0%} into training"
    if all(effect.answer == "too few trials" for effect in effects):
        return f"Too few trials to tell which dimension matters: {num_trials}, and at least {MIN_TRIALS} are needed."
    by_share = sorted(effects, key=lambda effect: -(effect.explained or 0))
    found = [effect.name for effect in by_share if effect.answer == "matters"]
    if not found:
        return f"No dimension is distinguishable from no effect among {num_trials} trials{when}."
    *others, last = found
    names = f"{', '.join(others)} and {last} matter" if others else f"{last} matters"
    return f"{names} among {num_trials} trials{when}."


def _describe_effect(folder: SweepFolder, effect: Effect) -> str:
    if effect.answer == "too few trials" or effect.explained is None:
        return f"`{effect.name}`: too few trials to tell."
    p_value = format_p_value(effect.p_adjusted)
    p_value = f"p {p_value}" if p_value.startswith("<") else f"p = {p_value}"
    if effect.answer == "not distinguishable":
        return f"`{effect.name}`: not distinguishable from no effect ({p_value}, corrected)."
    ranked = sorted(effect.levels, key=lambda level: folder.metadata.goal.get_sort_key(level.score.mean))
    best, worst = (f"{level.label} ({format_estimate(level.score)})" for level in (ranked[0], ranked[-1]))
    return (
        f"`{effect.name}` matters: best at {best}, worst at {worst}; its values explain {effect.explained:.0%} of "
        f"the variance between trials ({p_value}, corrected)."
    )


def _describe_evidence(folder: SweepFolder) -> str:
    evidence = folder.evidence
    assert evidence is not None
    end = "at its end" if evidence.fraction >= 0.995 else f"after {evidence.fraction:.0%} of the training"
    text = (
        f"Judged by `{folder.metadata.objective}` {end}, the last validation that all {len(evidence.rows)} trials "
        f"reached, one seed each: pruned trials count like the others. Test: {TEST_NAME}. An effect is of the "
        "dimension alone, with whatever else the search changed along with it"
    )
    if folder.metadata.derived:
        text += f" (under the budget {' and '.join(folder.metadata.derived)} follow)"
    text += "; it need not hold later in training."
    if evidence.left_out:
        text += f" {evidence.left_out} failed trials never got there and are not counted."
    return text
