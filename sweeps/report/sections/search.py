"""What the search tried, how its runs ended, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sweeps.analysis.sweep_folder import Row, SweepFolder
from sweeps.report import format as wording
from sweeps.report.blocks import Block, Figure, Items, Section, Table, Text, Widget
from sweeps.report.charts import importance as parallel
from sweeps.report.charts.chart import Chart
from sweeps.report.format import count, flops, percent, ratio, score, seconds
from sweeps.results.schema import PARAMETER_PREFIX
from sweeps.results.tables import format_short

NUM_BEST = 10
STATUSES = ("completed", "pruned", "failed")
KINDS = ("search", "baseline", "random", "confirm")


def shapes(folder: SweepFolder, charts: Mapping[str, Chart]) -> Section | None:
    """Accuracy by shape and size."""
    names = ("shape", "pareto_params", "pareto_flops", "width_depth")
    figures = [Figure(name, charts[name]) for name in names if name in charts]
    return Section("Shape and size", figures) if figures else None


def search(folder: SweepFolder, charts: Mapping[str, Chart]) -> Section:
    """The best trials of the search, and its course."""
    ranked = folder.rank(folder.select("search"))
    best = ranked[:NUM_BEST]
    figures: list[Block] = []
    data = parallel.widget(folder)
    if data is not None:
        figures.append(Widget("parallel", data, [Figure("parallel", charts["parallel"])]))
    figures += [Figure(name, charts[name]) for name in ("learning_curves", "best_so_far") if name in charts]
    if not best:
        return Section("Search", [Text("No search trial was completed."), *figures])
    lead = f"The best {len(best)} of {len(ranked)} completed trials, one seed each."
    return Section("Search", [Text(lead), _best_table(folder, best), *figures])


def _best_table(folder: SweepFolder, best: Sequence[Row]) -> Table:
    twins = {row["architecture"]: row["arm"] for row in folder.select("baseline")}
    names = folder.metadata.value_names
    objective = folder.metadata.objective
    header = ["trial", objective, "parameters", "full", "inner/width", *names, "architecture of"]
    rows = [
        [
            row["arm"],
            score(row["objective"]),
            count(row["params"]),
            percent(row["budget_used"]),
            ratio(row["inner_over_width"]),
            *(format_short(row[PARAMETER_PREFIX + name]) for name in names),
            twins.get(row["architecture"], ""),
        ]
        for row in best
    ]
    return Table(header, rows)


def build_outcomes(folder: SweepFolder) -> Section:
    """How many runs completed, were pruned or failed, and why."""
    rows = [
        [kind, *(str(len(folder.select(kind, status))) for status in STATUSES)] for kind in _kinds(folder)
    ]
    blocks: list[Block] = [Table(["", *STATUSES], rows)]
    revived = [f"{row['arm']} (from report {row['resumed_from']}, {row['status']})"
               for row in folder.select("search") if row.get("resumed_from")]  # fmt: skip
    if revived:
        told = "Pruned, and revived when the search had ended to go on from where they stood"
        blocks.append(Text(f"{told}: {', '.join(revived)}. Each is one run, its compute counted once."))
    failures = wording.failures(folder)
    if failures:
        blocks.append(Items(failures))
    return Section("How the runs ended", blocks)


def build_compute(folder: SweepFolder, charts: Mapping[str, Chart]) -> Section:
    """Where compute went."""
    rows = [_spent_row(kind, folder.select(kind)) for kind in _kinds(folder)]
    rows.append(_spent_row("all", folder.trials))
    header = ["", "runs", "training", "evaluation", "inside training", "inside evaluation"]
    note = "FLOPs of matrix products, pruned and failed runs included up to their last report."
    figures = [Figure(name, charts[name]) for name in ("compute",) if name in charts]
    return Section("Compute spent", [*figures, Table(header, rows), Text(note)])


def _kinds(folder: SweepFolder) -> list[str]:
    """Of the jobs; random search is named only where there was one."""
    return [kind for kind in KINDS if kind != "random" or folder.select(kind)]


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
