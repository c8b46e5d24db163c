"""`report.md`, section by section."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from sweeps.report import wording
from sweeps.report.charts.chart import Chart
from sweeps.report.folder import Folder, Row
from sweeps.report.numbers import (
    NONE,
    count,
    flops,
    p_value,
    percent,
    plus_minus,
    ratio,
    score,
    seconds,
    signed,
)
from sweeps.results.schema import PARAMETER_PREFIX
from sweeps.results.values import short
from sweeps.space.budget import ISO_PARAMETER
from sweeps.verdict.arms import Arm
from sweeps.verdict.compare import Comparison

NUM_BEST = 10
STATUSES = ("completed", "pruned", "failed")


def document(folder: Folder, figures: Mapping[str, Chart]) -> str:
    """The whole report."""
    sections = [
        _opening(folder),
        _verdict(folder),
        _how_to_read(folder),
        _figures(figures),
        _search(folder),
        _ended(folder),
        _compute(folder),
        _presets(folder),
        _provenance(folder),
        _commands(folder),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; bars inside cells are escaped."""
    lines = [list(header), ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _opening(folder: Folder) -> str:
    context = folder.context
    hardware = context.provenance.hardware
    machine = f"{hardware['cpu']}, {hardware['cores']} cores"
    machine += f", {', '.join(hardware['gpus'])}" if hardware["gpus"] else ", no GPU"
    budget = "no limit" if context.max_params is None else f"{context.max_params:,} parameters"
    return (
        f"# {context.question}\n\n"
        f"Space `{context.name}`, task `{context.task}`, budget {budget}, objective `{context.objective}`. "
        f"Started {context.started_at} on {machine}."
    )


def _verdict(folder: Folder) -> str:
    found = folder.comparisons
    lead, *rest = wording.headline(folder)
    parts = ["## Verdict", f"**{lead}**", *rest, *folder.context.notes]
    if found.arms:
        parts.append(_arms_table(folder, found.arms))
    if found.all:
        parts.append(_comparisons_table(found.all))
        parts.append(
            f"Test, named before the sweep started: {folder.context.test_name}. "
            "Intervals are of single differences. `could find` is the true difference that this n and spread "
            "would have found four times in five."
        )
    return "\n\n".join(parts)


def _arms_table(folder: Folder, arms: Sequence[Arm]) -> str:
    metrics = folder.comparisons.metrics
    header = ["arm", *metrics, f"`{folder.context.objective}`", "n", "parameters", "full", "inner/width"]
    rows = []
    for arm in arms:
        means = [wording.confirmed(folder, arm, metric) for metric in (*metrics, "objective")]
        rows.append([
            f"{arm.name} (preset)" if arm.is_baseline else arm.name,
            *(plus_minus(mean.mean, mean.half_width) if mean else NONE for mean in means),
            str(len(arm.values_of("objective"))),
            count(arm.params),
            percent(arm.fullness) + (" iso" if arm.iso_parameter else ""),
            ratio(arm.inner_over_width),
            flops(arm.train_flops),
            wording.arm_values(folder, arm),
        ])  # fmt: skip
    return table([*header, "training", "values"], rows)


def _comparisons_table(comparisons: Sequence[Comparison]) -> str:
    header = ["finalist", "baseline", "metric", "difference (95%)", "p, corrected", "could find", "verdict"]
    rows = []
    for pair in comparisons:
        found = pair.difference
        rows.append([
            pair.finalist.name,
            pair.baseline.name + (" (same architecture)" if pair.same_architecture else ""),
            pair.metric,
            NONE if found is None else f"{signed(found.mean)} ± {found.half_width:.3f}",
            p_value(pair.p_adjusted),
            score(pair.detectable),
            f"**{pair.verdict}**",
        ])  # fmt: skip
    return table(header, rows)


def _how_to_read(folder: Folder) -> str:
    context = folder.context
    return f"""## How to read this

- An *arm* is one configuration, trained again from scratch on fresh seeds, the same seeds in every arm.
  Means are over its seeds, ± is half of their 95% interval (Student's t). Test figures come from
  {context.num_test:,} examples that no decision of the search has seen; validation figures from
  {context.num_valid:,} others.
- *better* or *worse* means that the corrected p-value is below 0.05. *not distinguishable* does not mean
  equal: a difference smaller than `could find` may have been missed. More seeds (`confirm.seeds`) see
  smaller ones.
- The intervals hold for training again with other seeds on these data, not for other tasks or lengths.
- *full* is the share of the parameter budget that a shape uses; only arms above
  {float(ISO_PARAMETER):.0%} are called iso-parameter (`iso`).
- The search's own figures are of one seed each, and the best of many: they flatter. Judge by the arms."""


def _figures(figures: Mapping[str, Chart]) -> str:
    shown = [
        f"![{name.replace('_', ' ')}](figures/{name}.png)\n\n*{chart.caption}*"
        for name, chart in figures.items()
    ]
    return "\n\n".join(["## Figures", *shown]) if shown else ""


def _search(folder: Folder) -> str:
    ranked = folder.ranked(folder.of("search"))
    best = ranked[:NUM_BEST]
    if not best:
        return "## Search\n\nNo search trial was completed."
    twins = {row["architecture"]: row["arm"] for row in folder.of("baseline")}
    names = folder.context.value_names
    header = [
        "trial",
        folder.context.objective,
        "parameters",
        "full",
        "inner/width",
        *names,
        "architecture of",
    ]
    rows = [
        [
            row["arm"],
            score(row["objective"]),
            count(row["params"]),
            percent(row["fullness"]),
            ratio(row["inner_over_width"]),
            *(short(row[PARAMETER_PREFIX + name]) for name in names),
            twins.get(row["architecture"], ""),
        ]
        for row in best
    ]
    lead = f"The best {len(best)} of {len(ranked)} completed trials, one seed each."
    return f"## Search\n\n{lead}\n\n{table(header, rows)}"


def _ended(folder: Folder) -> str:
    rows = [
        [kind, *(str(len(folder.of(kind, status))) for status in STATUSES)]
        for kind in ("search", "baseline", "confirm")
    ]
    parts = ["## How the runs ended", table(["", *STATUSES], rows)]
    reasons = wording.failure_reasons(folder.trials).most_common()
    if reasons:
        parts.append("\n".join(f"- failed {times} time(s): {reason}" for reason, times in reasons))
    return "\n\n".join(parts)


def _compute(folder: Folder) -> str:
    rows = [_spent_row(kind, folder.of(kind)) for kind in ("search", "baseline", "confirm")]
    rows.append(_spent_row("all", folder.trials))
    header = ["", "runs", "training", "evaluation", "inside training", "inside evaluation"]
    return (
        f"## Compute spent\n\n{table(header, rows)}\n\n"
        "FLOPs of matrix products, pruned and failed runs included up to their last report."
    )


def _spent_row(name: str, rows: Sequence[Row]) -> list[str]:
    def total(column: str) -> float:
        return sum(row[column] or 0 for row in rows)

    return [
        name,
        str(len(rows)),
        flops(total("train_flops")),
        flops(total("eval_flops")),
        seconds(total("train_seconds")),
        seconds(total("eval_seconds")),
    ]


def _presets(folder: Folder) -> str:
    rows = [
        [preset.name, count(preset.params), preset.left_out]
        for preset in folder.context.presets
        if preset.left_out is not None
    ]
    return f"## Presets left out\n\n{table(['preset', 'parameters', 'reason'], rows)}" if rows else ""


def _provenance(folder: Folder) -> str:
    context, provenance = folder.context, folder.context.provenance
    commit = provenance.commit or "not in a repository"
    versions = ", ".join(f"{name} {version}" for name, version in provenance.versions.items() if version)
    lines = [
        f"- code: {commit}{', with changes' if provenance.dirty else ''}",
        f"- versions: {versions}",
        f"- space {context.space_hash[:16]}, data {context.data_fingerprint[:16]}",
    ]
    for name, number in context.space_counts.items():
        lines.append(f"- {name.replace('_', ' ')} in the space: {count(number)}")
    return "## Where this comes from\n\n" + "\n".join(lines)


def _commands(folder: Folder) -> str:
    command = shlex.join(["python", "run_sweep.py", *folder.context.command])
    return (
        f"## Again\n\nThe same sweep:\n\n```\n{command}\n```\n\n"
        "The best configuration alone, from this folder (`best.yaml` says what it is):\n\n"
        "```\npython -m hrm.train config=best.yaml\n```"
    )
