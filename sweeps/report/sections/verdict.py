"""The verdict, and how to read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sweeps.analysis.comparison import Arm, Comparison
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.report import format as wording
from sweeps.report.blocks import Block, Figure, Items, Section, Table, Text
from sweeps.report.charts.chart import Chart
from sweeps.report.format import NONE, count, flops, format_interval, p_value, percent, score, signed
from sweeps.space.budget import ISO_PARAMETER

RANDOM = (
    "`random search` is the best of random configurations of the same space, trained to their end until they "
    "had spent the training FLOPs of the search, and chosen as the finalists were: what is not better than it, "
    "the search did not find by searching."
)


def build_verdict(folder: SweepFolder, charts: Mapping[str, Chart]) -> Section:
    """The conclusion first, then the arms and the tests that it rests on."""
    found = folder.comparisons
    lead, *rest = wording.describe_verdict(folder)
    blocks: list[Block] = [Text(f"**{lead}**"), *(Text(text) for text in [*rest, *folder.metadata.notes])]
    if found.arms:
        blocks.append(_arms_table(folder, found.arms))
    if found.all:
        blocks.append(_comparisons_table(found.all))
        blocks.append(Text(
            f"Test, named before the sweep started: {folder.metadata.test_name}. "
            "Intervals are of single differences. `could find` is the true difference that this n and spread "
            "would have found four times in five. The effect size is Hedges' g, a difference in standard "
            "deviations of single runs. `to settle` is the number of seeds an arm that would find the difference "
            "seen four times in five, were it and the spreads the true ones."
        ))  # fmt: skip
    blocks += [Figure(name, charts[name]) for name in ("confirmed",) if name in charts]
    return Section("Verdict", blocks)


def build_reading_guide(folder: SweepFolder) -> Section:
    """What the words of the report mean."""
    metadata = folder.metadata
    return Section("How to read this", [Items([
        "An arm is one configuration, trained again from scratch on fresh seeds, the same seeds in every arm. "
        "Means are over its seeds, ± is half of their 95% interval (Student's t). Test figures come from "
        f"{metadata.num_test:,} examples that no decision of the search has seen; validation figures from "
        f"{metadata.num_valid:,} others.",
        "**better** or **worse** means that the corrected p-value is below 0.05. **not distinguishable** does "
        "not mean equal: a difference smaller than `could find` may have been missed. More seeds "
        "(`confirm.seeds`) see smaller ones.",
        "The intervals hold for training again with other seeds on these examples, not for other tasks or "
        "lengths.",
        *([RANDOM] if any(arm.kind == "random" for arm in folder.comparisons.arms) else []),
        f"`full` is the share of the parameter budget that a shape uses; only arms above "
        f"{float(ISO_PARAMETER):.0%} are called iso-parameter (`iso`).",
        "The search's own figures are of one seed each, and the best of many: they flatter. Judge by the arms.",
    ])])  # fmt: skip


def _arms_table(folder: SweepFolder, arms: Sequence[Arm]) -> Table:
    metrics = folder.comparisons.metrics
    header = [
        "arm",
        *metrics,
        f"`{folder.metadata.objective}`",
        "n",
        "parameters",
        "full",
        "training",
        "values",
    ]
    rows = []
    for arm in arms:
        means = [wording.confirmed(folder, arm, metric) for metric in (*metrics, "objective")]
        rows.append([
            arm.title,
            *(format_interval(mean.mean, mean.half_width) if mean else NONE for mean in means),
            str(len(arm.get_scores("objective"))),
            count(arm.params),
            percent(arm.fullness) + (" iso" if arm.iso_parameter else ""),
            flops(arm.train_flops),
            wording.arm_values(folder, arm),
        ])  # fmt: skip
    return Table(header, rows)


def _comparisons_table(comparisons: Sequence[Comparison]) -> Table:
    header = ["finalist", "baseline", "metric", "difference (95%)", "effect size", "p, corrected", "could find",
              "to settle", "verdict"]  # fmt: skip
    rows = []
    for pair in comparisons:
        found = pair.difference
        rows.append([
            pair.finalist.name,
            pair.baseline.name + (" (same architecture)" if pair.same_architecture else ""),
            pair.metric,
            NONE if found is None else f"{signed(found.mean)} ± {found.half_width:.3f}",
            NONE if pair.effect_size is None else f"{pair.effect_size:+.1f}",
            p_value(pair.p_adjusted),
            score(pair.detectable),
            wording.seeds_to_settle(pair) if pair.is_open else NONE,
            f"**{pair.verdict}**",
        ])  # fmt: skip
    return Table(header, rows)
