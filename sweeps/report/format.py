"""What the comparisons mean, in sentences."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hrm.config.errors import UnknownNameError
from hrm.config.run_config import qualify
from hrm.system.units import format_flops
from sweeps.analysis.comparison import Arm, Comparison, get_score_resolution
from sweeps.analysis.statistics import MAX_SEEDS, Estimate, estimate
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.results.tables import format_short

NONE = "–"


def score(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}"


def signed(value: float) -> str:
    return f"{value:+.3f}"


def format_interval(mean: float | None, half_width: float | None) -> str:
    """`0.873 ± 0.021`; without an interval the mean alone."""
    return score(mean) if half_width is None else f"{score(mean)} ± {half_width:.3f}"


def p_value(value: float | None) -> str:
    if value is None:
        return NONE
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def count(value: float | None) -> str:
    return NONE if value is None else f"{value:,.0f}"


def percent(fraction: float | None) -> str:
    """Rounded down, so that nothing looks fuller than it is."""
    return NONE if fraction is None else f"{int(fraction * 1000) / 10:.1f}%"


def ratio(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


def flops(value: float | None) -> str:
    return NONE if value is None else format_flops(value)


def seconds(value: float | None) -> str:
    if value is None:
        return NONE
    return f"{value:.1f} s" if value < 120 else f"{value / 60:.1f} min"


def assignments(values: Mapping[str, Any]) -> str:
    """`H_layers=2 lr=0.002`."""
    return " ".join(f"{name}={format_short(value)}" for name, value in values.items() if value is not None)


def describe_verdict(folder: SweepFolder) -> list[str]:
    """The verdict in sentences, the first of which stands alone."""
    metadata, found = folder.metadata, folder.comparisons
    if not metadata.supports_verdict:
        return [
            f"No verdict: {metadata.task} is a smoke test, too small to decide between architectures. "
            "Its figures only show that everything runs."
        ]
    finalist = found.best_finalist
    if finalist is None:
        return ["No verdict: no searched configuration was confirmed on fresh seeds."]
    sentences = [_sentence(folder, pair) for pair in found.select(finalist, found.metrics[0])]
    if metadata.goals.several:
        others = [
            pair for pair in found.all if pair.metric == found.metrics[0] and pair.finalist is not finalist
        ]
        sentences += [_sentence(folder, pair) for pair in others]
    for metric in found.metrics[1:]:
        sentences += [_short_sentence(pair) for pair in found.select(finalist, metric)]
    if not sentences:
        sentences = [f"No verdict: there is no confirmed baseline to hold {finalist.name} against."]
    if found.best and found.best.is_baseline:
        sentences.append(
            f"On the validation split the best arm was {_baseline(found.best)}: "
            f"no confirmed find had a better {metadata.objective}."
        )
    return sentences + [note for arm in found.arms if (note := failure_note(arm))]


def objectives(names: Sequence[str]) -> str:
    """``objective `a` ``, or several."""
    return f"objective{'s' if len(names) > 1 else ''} {', '.join(f'`{name}`' for name in names)}"


def _baseline(arm: Arm) -> str:
    return f"the preset {arm.name} itself" if arm.kind == "preset" else f"the best of {arm.name}"


def confirmed(folder: SweepFolder, arm: Arm, metric: str) -> Estimate | None:
    """An arm's mean and interval in a metric."""
    return estimate(arm.get_scores(metric), get_score_resolution(metric, folder.metadata))


def same_architecture_note(comparison: Comparison) -> str | None:
    """Says, where both arms are one architecture, what a difference can be credited to."""
    if not comparison.same_architecture:
        return None
    finalist, baseline = comparison.finalist, comparison.baseline
    changed = [
        f"{name} ({format_short(value)} against {format_short(baseline.values.get(name))})"
        for name, value in finalist.values.items()
        if _is_training_value(name) and value != baseline.values.get(name)
    ]
    if not changed:
        return f"{finalist.name} is {baseline.name} itself: the same architecture and training values."
    return (
        f"{finalist.name} has the architecture of {baseline.name}: "
        f"a difference is to the credit of {', '.join(changed)}, not of the shape."
    )


def size_note(arms: Iterable[Arm]) -> str | None:
    """Says, where it is so, which arms leave more of the budget unused than iso-parameter allows."""
    small = [arm for arm in arms if arm.fullness is not None and not arm.iso_parameter]
    if not small:
        return None
    sizes = " and ".join(f"{arm.name} fills {percent(arm.fullness)}" for arm in small)
    return f"Not iso-parameter: {sizes} of the budget."


def failure_note(arm: Arm) -> str | None:
    """Says, where it is so, that an arm's mean is over fewer runs than planned."""
    if not arm.failures:
        return None
    planned = len(arm.failures) + len(arm.scores["objective"])
    reasons = "; ".join(sorted(set(arm.failures)))
    return f"{len(arm.failures)} of {planned} confirmation runs of {arm.name} failed ({reasons})."


def failures(folder: SweepFolder) -> list[str]:
    """Each reason of failed runs, the most frequent first, with the file of one traceback."""
    numbers: dict[str, list[int]] = {}
    for row in folder.trials:
        if row["status"] == "failed":
            numbers.setdefault(row["error"] or "no reason given", []).append(row["number"])
    lines = []
    for reason, failed in sorted(numbers.items(), key=lambda item: -len(item[1])):
        files = [folder.tracebacks[number] for number in failed if number in folder.tracebacks]
        lines.append(f"failed {len(failed)} time(s): {reason}" + (f" (see `{files[0]}`)" if files else ""))
    return lines


def format_closing_lines(folder: SweepFolder, out: Path) -> list[str]:
    """The lines that a terminal ends with."""
    shown = Path(os.path.relpath(out)) if out.resolve().is_relative_to(Path.cwd()) else out
    lines = [
        "",
        *describe_verdict(folder),
        *folder.metadata.notes,
        f"Report: {shown / 'report.html'}, as text {shown / 'report.md'}",
    ]
    if (out / "best.yaml").exists():
        lines.append(f"Train the best configuration again: python -m hrm.train config={shown / 'best.yaml'}")
    return lines


def arm_values(folder: SweepFolder, arm: Arm) -> str:
    return assignments({name: arm.values.get(name) for name in folder.metadata.value_names})


def seeds_to_settle(pair: Comparison) -> str:
    """Of an open question."""
    needed = pair.seeds_to_settle
    return f"more than {MAX_SEEDS:,} seeds" if needed is None else f"{needed} seeds"


def _sentence(folder: SweepFolder, pair: Comparison) -> str:
    finalist, baseline = pair.finalist, pair.baseline
    n, m = pair.counts
    if pair.verdict == "not enough evidence":
        return f"Not enough evidence: {finalist.name} has {n} completed confirmations, {baseline.name} {m}."
    link = "from" if pair.is_open else "than"
    runs = f"{n} fresh seeds each" if n == m else f"{n} and {m} fresh seeds"
    text = (
        f"{finalist.name} ({arm_values(folder, finalist)}) is {pair.verdict} {link} {baseline.name}: "
        f"{pair.metric} {_means(pair)}, {runs}."
    )
    if pair.is_open:
        text += (
            f" A true difference of {score(pair.detectable)} would have been found four times in five."
            f" The one seen would take {seeds_to_settle(pair)} an arm to settle."
        )
    notes = (same_architecture_note(pair), size_note((finalist, baseline)))
    return " ".join([text, *(note for note in notes if note)])


def _short_sentence(pair: Comparison) -> str:
    if pair.verdict == "not enough evidence":
        return f"{pair.metric}: {pair.verdict}."
    return f"{pair.metric}: {_means(pair)} of {pair.baseline.name}, {pair.verdict}."


def _means(pair: Comparison) -> str:
    a, b = pair.estimates
    assert a is not None and b is not None
    return f"{format_interval(a.mean, a.half_width)} against {format_interval(b.mean, b.half_width)}"


def _is_training_value(name: Any) -> bool:
    try:
        return qualify(name).startswith("train.")
    except UnknownNameError:
        return False
