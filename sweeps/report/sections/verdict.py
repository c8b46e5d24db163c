"""The verdict in sentences, with the tables that it rests on, and how to read them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from hrm.config.errors import UnknownNameError
from hrm.config.run_config import qualify
from hrm.system.format import format_flops
from sweeps.analysis.comparison import Arm, Comparison
from sweeps.analysis.statistics import MAX_SEEDS, Difference
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.report.blocks import Block, Items, Section, Table, Text, build_table, list_figures
from sweeps.report.charts.comparison import build_confirmed
from sweeps.report.format import (
    NONE,
    format_count,
    format_interval,
    format_p_value,
    format_percent,
    format_score,
    format_short,
    format_values,
)
from sweeps.space.budget import ISO_PARAMETER

RANDOM_SEARCH = (
    "`random search` is the best of random configurations of the same space, trained to their end until they "
    "had spent the training FLOPs of the search, and chosen as the finalists were. A finalist that is not better "
    "shows no gain from searching."
)


def build_verdict(folder: SweepFolder) -> Section:
    """Build the conclusion, then the arms and the tests that it rests on."""
    found = folder.comparisons
    lead, *rest = describe_verdict(folder)
    blocks: list[Block] = [Text(f"**{lead}**"), *map(Text, [*rest, *folder.metadata.notes])]
    if found.arms:
        blocks.append(_build_arms_table(folder))
    if found.all:
        explanation = (
            f"Test, named before the sweep started: {folder.metadata.test_name}. Intervals are of single "
            "differences. The effect size is Hedges' g, a difference in standard deviations of single runs. "
            "`detectable at 80% power` is the true difference that this n and spread would have detected four times "
            "in five. `seeds needed` is the number of seeds per arm that would detect the observed difference four "
            "times in five, assuming that it and the observed spreads are the true ones."
        )
        blocks += [build_table(found.all, COMPARISON_COLUMNS), Text(explanation)]
    return Section("Verdict", [*blocks, *list_figures(confirmed=build_confirmed(folder))])


def build_reading_guide(folder: SweepFolder) -> Section:
    """Build the explanation of the report's words."""
    metadata = folder.metadata
    items = [
        "An arm is one configuration, trained again from scratch on fresh seeds, the same seeds in every arm. "
        "Means are over its seeds, ± is half of their 95% interval (Student's t). Test results come from "
        f"{metadata.num_test:,} examples that no decision of the search has seen; validation results from "
        f"{metadata.num_valid:,} others.",
        "**better** or **worse** means that the corrected p-value is below 0.05. **not distinguishable** does "
        "not mean equal: a difference smaller than `detectable at 80% power` may have been missed. More seeds "
        "(`confirm.seeds`) detect smaller ones.",
        "The intervals hold for training again with other seeds on these examples, not for other tasks or lengths.",
        f"`budget used` is the share of the parameter budget that a shape uses; only arms above "
        f"{float(ISO_PARAMETER):.0%} are called iso-parameter (`iso`).",
        "The search's own results are of one seed each, and the best of many: they flatter. Judge by the arms.",
    ]
    if any(arm.kind == "random" for arm in folder.comparisons.arms):
        items.insert(3, RANDOM_SEARCH)
    return Section("How to read this", [Items(items)])


def describe_verdict(folder: SweepFolder) -> list[str]:
    """Return the verdict in sentences, the first of which stands alone."""
    metadata, found = folder.metadata, folder.comparisons
    finalist, best = found.best_finalist, found.best
    if not metadata.supports_verdict:
        return [
            f"No verdict: {metadata.task} is a smoke test, too small to decide between architectures. "
            "Its results only show that everything runs."
        ]
    if finalist is None:
        return ["No verdict: no searched configuration was confirmed on fresh seeds."]
    sentences = [_describe(folder, pair) for pair in found.select(finalist, found.metrics[0])]
    if metadata.goals.several:
        others = [
            pair for pair in found.all if pair.metric == found.metrics[0] and pair.finalist is not finalist
        ]
        sentences += [_describe(folder, pair) for pair in others]
    for metric in found.metrics[1:]:
        sentences += [_describe_briefly(pair) for pair in found.select(finalist, metric)]
    if not sentences:
        sentences = [f"No verdict: there is no confirmed baseline to compare {finalist.name} with."]
    if best and best.is_baseline:
        name = f"the preset {best.name} itself" if best.kind == "preset" else f"the best of {best.name}"
        sentences.append(
            f"On the validation split the best arm was {name}: no confirmed configuration had a better "
            f"{metadata.objective}."
        )
    return sentences + [note for arm in found.arms if (note := _note_failures(arm))]


def format_arm_values(folder: SweepFolder, arm: Arm) -> str:
    """Return an arm's searched and derived values."""
    return format_values({name: arm.values.get(name) for name in folder.metadata.value_names})


def _describe(folder: SweepFolder, pair: Comparison) -> str:
    finalist, baseline = pair.finalist, pair.baseline
    n, m = (len(arm.get_scores(pair.metric)) for arm in (finalist, baseline))
    if pair.verdict == "not enough evidence":
        return f"Not enough evidence: {finalist.name} has {n} completed confirmations, {baseline.name} {m}."
    text = (
        f"{finalist.name} ({format_arm_values(folder, finalist)}) is {pair.verdict} "
        f"{'from' if pair.is_open else 'than'} {baseline.name}: {pair.metric} {_format_means(pair)}, "
        f"{f'{n} fresh seeds each' if n == m else f'{n} and {m} fresh seeds'}."
    )
    if pair.is_open:
        text += (
            f" A true difference of {format_score(pair.detectable_difference)} would have been detected four times "
            f"in five. Detecting the observed one would need {_format_seeds_needed(pair)} per arm."
        )
    return text + _note_same_architecture(pair) + _note_sizes((finalist, baseline))


def _describe_briefly(pair: Comparison) -> str:
    if pair.verdict == "not enough evidence":
        return f"{pair.metric}: {pair.verdict}."
    return f"{pair.metric}: {_format_means(pair)} of {pair.baseline.name}, {pair.verdict}."


def _format_means(pair: Comparison) -> str:
    return " against ".join(format_interval(one) for one in pair.estimates)


def _format_seeds_needed(pair: Comparison) -> str:
    return f"more than {MAX_SEEDS:,} seeds" if pair.seeds_needed is None else f"{pair.seeds_needed} seeds"


def _note_same_architecture(pair: Comparison) -> str:
    """Say what a difference can be credited to, if both arms have one architecture."""
    if not pair.same_architecture:
        return ""
    finalist, baseline = pair.finalist, pair.baseline
    changed = [
        f"{name} ({format_short(value)} against {format_short(baseline.values.get(name))})"
        for name, value in finalist.values.items()
        if _is_training_value(name) and value != baseline.values.get(name)
    ]
    if not changed:
        return f" {finalist.name} is {baseline.name} itself: the same architecture and training values."
    return (
        f" {finalist.name} has the architecture of {baseline.name}: a difference is to the credit of "
        f"{', '.join(changed)}, not of the shape."
    )


def _note_sizes(arms: Iterable[Arm]) -> str:
    """Say which arms leave more of the budget unused than iso-parameter allows, if any."""
    small = [arm for arm in arms if arm.fullness is not None and not arm.iso_parameter]
    uses = " and ".join(f"{arm.name} uses {format_percent(arm.fullness)}" for arm in small)
    return f" Not iso-parameter: {uses} of the budget." if small else ""


def _note_failures(arm: Arm) -> str:
    """Say that an arm's mean is over fewer runs than planned, if it is."""
    if not arm.failures:
        return ""
    planned = len(arm.failures) + len(arm.scores["objective"])
    reasons = "; ".join(sorted(set(arm.failures)))
    return f"{len(arm.failures)} of {planned} confirmation runs of {arm.name} failed ({reasons})."


def _is_training_value(name: str) -> bool:
    try:
        return qualify(name).startswith("train.")
    except UnknownNameError:
        return False


def _build_arms_table(folder: SweepFolder) -> Table:
    def format_mean(metric: str, arm: Arm) -> str:
        return format_interval(folder.estimate(arm, metric))

    columns: dict[str, Callable[[Arm], str]] = {
        "arm": lambda arm: arm.title,
        **{metric: partial(format_mean, metric) for metric in folder.comparisons.metrics},
        f"`{folder.metadata.objective}`": partial(format_mean, "objective"),
        "n": lambda arm: str(len(arm.get_scores("objective"))),
        "parameters": lambda arm: format_count(arm.params),
        "budget used": lambda arm: format_percent(arm.fullness) + (" iso" if arm.iso_parameter else ""),
        "training": lambda arm: NONE if arm.train_flops is None else format_flops(arm.train_flops),
        "values": lambda arm: format_arm_values(folder, arm),
    }
    return build_table(folder.comparisons.arms, columns)


COMPARISON_COLUMNS: dict[str, Callable[[Comparison], str]] = {
    "finalist": lambda pair: pair.finalist.name,
    "baseline": lambda pair: pair.baseline.name + (" (same architecture)" if pair.same_architecture else ""),
    "metric": lambda pair: pair.metric,
    "difference (95%)": lambda pair: _format_difference(pair.difference),
    "effect size": lambda pair: NONE if pair.effect_size is None else f"{pair.effect_size:+.1f}",
    "p, corrected": lambda pair: format_p_value(pair.p_adjusted),
    "detectable at 80% power": lambda pair: format_score(pair.detectable_difference),
    "seeds needed": lambda pair: _format_seeds_needed(pair) if pair.is_open else NONE,
    "verdict": lambda pair: f"**{pair.verdict}**",
}


def _format_difference(found: Difference | None) -> str:
    return NONE if found is None else f"{found.mean:+.3f} ± {found.half_width:.3f}"
