"""The search: its shapes and best trials, the outcomes of its runs, the compute that they spent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from hrm.system.format import format_flops
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.events import list_statuses
from sweeps.report.blocks import Block, Figure, Items, Section, Table, Text, Widget, build_table, list_figures
from sweeps.report.charts import pareto, progress, shape
from sweeps.report.charts.dimensions import build_brush_data, build_parallel_coordinates
from sweeps.report.format import (
    NONE,
    format_count,
    format_percent,
    format_score,
    format_seconds,
    format_short,
)
from sweeps.results.schema import PARAMETER_PREFIX, Row

NUM_BEST = 10
KINDS = ("search", "baseline", "random", "confirm")


def build_shapes(folder: SweepFolder) -> Section | None:
    """Build accuracy by shape and size; None without a figure."""
    figures = list_figures(
        shape=shape.build_shape(folder),
        pareto_params=pareto.build_pareto_params(folder),
        pareto_flops=pareto.build_pareto_flops(folder),
        width_depth=shape.build_width_depth(folder),
    )
    return Section("Shape and size", figures) if figures else None


def build_search(folder: SweepFolder) -> Section:
    """Build the best trials of the search, and its course."""
    blocks: list[Block] = [Text("No search trial was completed.")]
    if folder.best_trials:
        best = folder.best_trials[:NUM_BEST]
        lead = f"The best {len(best)} of {len(folder.best_trials)} completed trials, one seed each."
        blocks = [Text(lead), _build_best_table(folder, best)]
    data, chart = build_brush_data(folder), build_parallel_coordinates(folder)
    if data is not None and chart is not None:
        blocks.append(Widget("parallel", data, [Figure("parallel", chart)]))
    blocks += list_figures(
        learning_curves=progress.build_learning_curves(folder), best_so_far=progress.build_best_so_far(folder)
    )
    return Section("Search", blocks)


def build_outcomes(folder: SweepFolder) -> Section:
    """Build how many runs ended in which way, and why those failed that did."""
    statuses = list_statuses(row["status"] for row in folder.trials)
    rows = [
        [kind, *(str(len(folder.select(kind, status))) for status in statuses)]
        for kind in _list_kinds(folder)
    ]
    blocks: list[Block] = [Table(["", *statuses], rows)]
    resumed = [
        f"{row['arm']} (from validation {row['resumed_from']}, {row['status']})"
        for row in folder.select("search")
        if row.get("resumed_from")
    ]
    if resumed:
        lead = "Pruned, and resumed from their checkpoints when the search had ended"
        blocks.append(Text(f"{lead}: {', '.join(resumed)}. Each is one run, its compute counted once."))
    failures = _list_failures(folder)
    return Section("How the runs ended", [*blocks, Items(failures)] if failures else blocks)


def build_compute(folder: SweepFolder) -> Section:
    """Build where compute went."""
    rows = [_build_compute_row(kind, folder.select(kind)) for kind in _list_kinds(folder)]
    rows.append(_build_compute_row("all", folder.trials))
    header = ["", "runs", "training", "evaluation", "inside training", "inside evaluation"]
    note = "FLOPs of matrix products, pruned and failed runs included up to their last validation."
    return Section(
        "Compute spent",
        [*list_figures(compute=progress.build_compute(folder)), Table(header, rows), Text(note)],
    )


def _build_best_table(folder: SweepFolder, best: Sequence[Row]) -> Table:
    def format_parameter(name: str, row: Row) -> str:
        return format_short(row[PARAMETER_PREFIX + name])

    presets = {row["architecture"]: row["arm"] for row in folder.select("baseline")}
    columns: dict[str, Callable[[Row], str]] = {
        "trial": lambda row: row["arm"],
        folder.metadata.objective: lambda row: format_score(row["objective"]),
        "parameters": lambda row: format_count(row["params"]),
        "budget used": lambda row: format_percent(row["budget_used"]),
        "inner/width": lambda row: _format_ratio(row["inner_over_width"]),
        **{name: partial(format_parameter, name) for name in folder.metadata.value_names},
        "architecture of": lambda row: presets.get(row["architecture"], ""),
    }
    return build_table(best, columns)


def _format_ratio(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


def _list_kinds(folder: SweepFolder) -> list[str]:
    """Return the kinds of runs; random search only if there was one."""
    return [kind for kind in KINDS if kind != "random" or folder.select(kind)]


def _list_failures(folder: SweepFolder) -> list[str]:
    """Return each reason of failed or infeasible runs, the most frequent first, with the file of one traceback."""
    numbers: dict[tuple[str, str], list[int]] = {}
    for row in folder.trials:
        if row["status"] in ("failed", "infeasible"):
            numbers.setdefault((row["status"], row["error"] or "no reason given"), []).append(row["number"])
    lines = []
    for (status, reason), ended in sorted(numbers.items(), key=lambda item: -len(item[1])):
        files = [folder.tracebacks[number] for number in ended if number in folder.tracebacks]
        lines.append(f"{status} {len(ended)} time(s): {reason}" + (f" (see `{files[0]}`)" if files else ""))
    return lines


def _build_compute_row(name: str, rows: Sequence[Row]) -> list[str]:
    train_flops, eval_flops, train_seconds, eval_seconds = (
        sum(row[column] or 0 for row in rows)
        for column in ("train_flops", "eval_flops", "train_seconds", "eval_seconds")
    )
    flops = [format_flops(train_flops), format_flops(eval_flops)]
    return [name, str(len(rows)), *flops, format_seconds(train_seconds), format_seconds(eval_seconds)]
