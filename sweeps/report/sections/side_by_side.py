"""Several sweeps next to each other: their budgets, seeds, machines, finds and verdicts."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.analysis.comparison import Arm, Verdict
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.report import format as wording
from sweeps.report.blocks import Block, Figure, Section, Table, Text
from sweeps.report.charts import comparison as figure
from sweeps.report.format import NONE, count, flops, format_interval
from sweeps.report.sections.provenance import machine


def side_by_side(folders: Sequence[SweepFolder]) -> Section:
    """A row a sweep, and where they have a metric in common a figure of finds and presets."""
    rows = [_row(i, folder) for i, folder in enumerate(folders)]
    header = ["sweep", "task", "budget", "seed", "metric", "best find", "best preset", "verdict"]
    header += ["runs", "training", "commit", "machine"]
    blocks: list[Block] = [Table(header, rows), Text(_tally([_verdict(folder) for folder in folders]))]
    drawn = figure.build_side_by_side(folders)
    if drawn is not None:
        blocks.append(Figure("side_by_side", drawn))
    else:
        blocks.append(
            Text("No figure: the sweeps have no metric and data in common, or nothing was confirmed.")
        )
    return Section("Side by side", blocks)


def _row(index: int, folder: SweepFolder) -> list[str]:
    metadata, found = folder.metadata, folder.comparisons
    metric = found.metrics[0]
    provenance = metadata.provenance
    return [
        figure.name(index, folder),
        metadata.task,
        NONE if metadata.max_params is None else count(metadata.max_params),
        _seed(folder),
        metric,
        _said(folder, found.best_finalist, metric),
        _said(folder, found.best_preset, metric),
        f"**{_verdict(folder)}**",
        str(len(folder.trials)),
        flops(sum(row["train_flops"] or 0 for row in folder.trials)),
        (provenance.commit or NONE)[:8] + (" with changes" if provenance.dirty else ""),
        machine(folder),
    ]


def _verdict(folder: SweepFolder) -> Verdict:
    """Of the best find against the best preset."""
    found = folder.comparisons
    leader, preset = found.best_finalist, found.best_preset
    if leader is None or preset is None:
        return "no verdict"
    pairs = [pair for pair in found.select(leader, found.metrics[0]) if pair.baseline.name == preset.name]
    return pairs[0].verdict if pairs else "no verdict"


def _tally(verdicts: Sequence[Verdict]) -> str:
    """In how many of the sweeps each verdict was given; they are not one test."""
    counts = [f"**{verdict}** in {verdicts.count(verdict)}" for verdict in dict.fromkeys(verdicts)]
    return f"The best find against the best preset: {', '.join(counts)} of {len(verdicts)} sweeps."


def _seed(folder: SweepFolder) -> str:
    """The sweep's own: its search trials run on it."""
    search = folder.select("search")
    return str(search[0]["seed"]) if search else NONE


def _said(folder: SweepFolder, arm: Arm | None, metric: str) -> str:
    mean = wording.confirmed(folder, arm, metric) if arm else None
    return (
        NONE
        if arm is None or mean is None
        else f"{arm.name}: {format_interval(mean.mean, mean.half_width)}, n = {mean.n}"
    )
