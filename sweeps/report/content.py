"""What a report says, in the order in which a reader wants it: one content for every face."""

from __future__ import annotations

from collections.abc import Mapping

from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.report import format as wording
from sweeps.report.blocks import Report
from sweeps.report.charts.chart import Chart
from sweeps.report.sections import examples as segments
from sweeps.report.sections import importance as knobs
from sweeps.report.sections import pareto, search, verdict
from sweeps.report.sections import provenance as origin


def build_report(folder: SweepFolder, charts: Mapping[str, Chart]) -> Report:
    """The report of one sweep."""
    metadata = folder.metadata
    budget = "no limit" if metadata.max_params is None else f"{metadata.max_params:,} parameters"
    budget = ", ".join([budget, *(f"`{bound}`" for bound in metadata.other_bounds)])
    sections = [
        verdict.build_verdict(folder, charts),
        pareto.pareto(folder, charts),
        search.shapes(folder, charts),
        segments.segments(folder),
        knobs.knobs(folder, charts),
        search.search(folder, charts),
        search.build_compute(folder, charts),
        search.build_outcomes(folder),
        origin.presets_left_out(folder),
        verdict.build_reading_guide(folder),
        origin.provenance(folder),
        origin.again(folder),
    ]
    return Report(
        title=metadata.question,
        opening=f"Space `{metadata.name}`, task `{metadata.task}`, budget {budget}, "
        f"{wording.objectives(metadata.goals.names)}. Started {metadata.started_at} on {origin.machine(folder)}.",
        sections=[section for section in sections if section is not None],
    )
