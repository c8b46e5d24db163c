"""The sections of a report, in their order."""

from __future__ import annotations

from collections.abc import Iterator

from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.report.blocks import Report, Section
from sweeps.report.sections import examples, importance, pareto, provenance, search, verdict

SECTIONS = (
    verdict.build_verdict,
    pareto.build_pareto,
    search.build_shapes,
    examples.build_examples,
    importance.build_importance,
    search.build_search,
    search.build_compute,
    search.build_outcomes,
    provenance.build_left_out_presets,
    verdict.build_reading_guide,
    provenance.build_provenance,
    provenance.build_reproduction,
)
"""Each returns None if the sweep has nothing to show there."""


def build_report(folder: SweepFolder) -> Report:
    """Build the report of one sweep; its sections are built when they are asked for."""
    metadata, objectives = folder.metadata, folder.metadata.goals.names
    budget = "no limit" if metadata.max_params is None else f"{metadata.max_params:,} parameters"
    budget = ", ".join([budget, *(f"`{bound}`" for bound in metadata.other_bounds)])
    return Report(
        title=metadata.question,
        opening=f"Space `{metadata.name}`, task `{metadata.task}`, budget {budget}, "
        f"objective{'s' if len(objectives) > 1 else ''} {', '.join(f'`{name}`' for name in objectives)}. "
        f"Started {metadata.started_at} on {provenance.describe_machine(folder)}.",
        sections=_build_sections(folder),
    )


def _build_sections(folder: SweepFolder) -> Iterator[Section]:
    for build in SECTIONS:
        section = build(folder)
        if section is not None:
            yield section
