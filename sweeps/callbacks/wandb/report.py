"""The W&B Report of a sweep: the verdict first, then panels over its runs. Built without a server."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import wandb_workspaces.reports.v2 as wr

from hrm.config.schema import read_yaml
from hrm.system.files import write_text_atomically
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.callbacks.wandb.session import BEST_SO_FAR, SUMMARY, build_run_id
from sweeps.config import WandbConfig
from sweeps.report.blocks import Figure, Section
from sweeps.report.charts.chart import COLOURS
from sweeps.report.charts.layers import choose_arm_colours
from sweeps.report.markdown import render_section
from sweeps.report.sections.verdict import build_reading_guide, build_verdict, describe_verdict
from sweeps.results.output_dir import CONFIG

FILE_NAME = "wandb_report.json"
MAX_TITLE = 128
"""Longest title that the server takes."""
WIDE, HALF = 24, 12
"""Widths of panels, in columns of W&B's grid."""


def write_wandb_report(out: Path, folder: SweepFolder, **published: Any) -> None:
    """Save the Report as W&B would get it next to the tables, and what the server has answered.

    Args:
        published: new answers as in `read_published`; earlier ones are kept.
    """
    report = build_wandb_report(folder, read_destination(out))
    saved = {
        **read_published(out),
        **published,
        "project": report.project,
        "title": report.title,
        "description": report.description,
        "spec": serialize_spec(report),
    }
    write_text_atomically(out / FILE_NAME, json.dumps(saved, indent=1) + "\n")


def read_published(out: Path) -> dict[str, Any]:
    """Return what the server has answered: `id` and `url` of the Report, and the `sweep` that was registered."""
    if not (out / FILE_NAME).exists():
        return {}
    saved = json.loads((out / FILE_NAME).read_text())
    return {name: saved[name] for name in ("id", "url", "sweep") if name in saved}


def read_destination(out: Path) -> WandbConfig:
    """Return the project and entity that the sweep was configured with."""
    path = out / CONFIG
    return WandbConfig(**read_yaml(path)["wandb"]) if path.exists() else WandbConfig()


def serialize_spec(report: wr.Report) -> dict[str, Any]:
    """Return a Report's content as the server would get it."""
    # The library can only save a Report to a server; this private call is the first half of its `save`.
    return json.loads(report._to_model().spec.model_dump_json(by_alias=True, exclude_none=True))


def build_wandb_report(folder: SweepFolder, config: WandbConfig) -> wr.Report:
    """Build the Report of a sweep."""
    return wr.Report(
        project=config.project,
        # Without one, the library asks the server whose key this is.
        entity=config.entity or "",
        title=folder.metadata.question[:MAX_TITLE],
        description=describe_verdict(folder)[0],
        width="fluid",
        blocks=[
            _render_section(build_verdict(folder)),
            _render_section(build_reading_guide(folder)),
            wr.H2("The search"),
            _build_search(folder),
            wr.H2("Best so far"),
            _build_best_so_far(folder),
            wr.H2("Accuracy, parameters and compute; presets in black, finalists in red"),
            _build_sizes(folder),
            wr.H2("Learning curves"),
            _build_curves(folder),
            wr.H2("Finalists and presets on fresh seeds"),
            _build_confirmed(folder),
        ],
    )


def _render_section(section: Section) -> wr.MarkdownBlock:
    texts = [block for block in section.blocks if not isinstance(block, Figure)]
    return wr.MarkdownBlock(render_section(Section(section.title, texts)))


def _build_search(folder: SweepFolder) -> wr.PanelGrid:
    """Build parallel coordinates, importance, and the trials over time."""
    objective, maximize = folder.metadata.objective, folder.metadata.goal.direction == "maximize"
    columns = [
        wr.ParallelCoordinatesPlotColumn(
            wr.Config(f"p.{name}"), display_name=name, log=_suits_log_axis(folder, name) or None
        )
        for name in folder.metadata.value_names
    ]
    columns.append(wr.ParallelCoordinatesPlotColumn(wr.SummaryMetric("objective"), display_name=objective))
    over_time = wr.ScatterPlot(
        title=f"{objective} over time, with the best so far",
        x=wr.Metric("CreatedTimestamp"),
        y=wr.SummaryMetric("objective"),
        running_ymax=maximize or None,
        running_ymin=not maximize or None,
        layout=wr.Layout(x=HALF, y=8, w=HALF, h=8),
    )
    panels: list[Any] = [
        wr.ParallelCoordinatesPlot(columns=columns, layout=wr.Layout(w=WIDE, h=8)),
        wr.ParameterImportancePlot(with_respect_to="objective", layout=wr.Layout(y=8, w=HALF, h=8)),
        over_time,
    ]
    return wr.PanelGrid(runsets=[_build_runset(folder, "search", ["search"])], panels=panels)


def _build_best_so_far(folder: SweepFolder) -> wr.PanelGrid:
    line = wr.LinePlot(
        title=f"best {folder.metadata.objective} against training FLOPs of the search",
        x="search/train_flops",
        y=[BEST_SO_FAR],
        layout=wr.Layout(w=WIDE, h=7),
    )
    return wr.PanelGrid(runsets=[_build_runset(folder, "the sweep", [SUMMARY])], panels=[line])


def _build_sizes(folder: SweepFolder) -> wr.PanelGrid:
    """Build the objective against parameters and against FLOPs."""
    axes: dict[str, Any] = {
        "parameters": wr.Config("params"),
        "training FLOPs": wr.SummaryMetric("train_flops"),
    }
    panels: list[Any] = [
        wr.ScatterPlot(
            title=f"{folder.metadata.objective} against {name}",
            x=axis,
            y=wr.SummaryMetric("objective"),
            layout=wr.Layout(x=HALF * i, w=HALF, h=8),
        )
        for i, (name, axis) in enumerate(axes.items())
    ]
    return wr.PanelGrid(runsets=[_build_first_runs(folder)], panels=panels)


def _build_curves(folder: SweepFolder) -> wr.PanelGrid:
    panels: list[Any] = [
        wr.LinePlot(title=name, x="train_flops", y=[name], layout=wr.Layout(x=HALF * i, w=HALF, h=8))
        for i, name in enumerate((folder.metadata.goal.metric, "train/loss"))
    ]
    return wr.PanelGrid(runsets=[_build_first_runs(folder)], panels=panels)


def _build_confirmed(folder: SweepFolder) -> wr.PanelGrid:
    metrics = folder.comparisons.metrics
    width = WIDE // max(len(metrics), 1)
    panels: list[Any] = [
        wr.BarPlot(
            title=f"{metric}, mean over fresh seeds",
            metrics=[wr.SummaryMetric(metric)],
            groupby=wr.Config("arm"),
            groupby_aggfunc="mean",
            groupby_rangefunc="stddev",
            layout=wr.Layout(x=i * width, w=width, h=7),
        )
        for i, metric in enumerate(metrics)
    ]
    comparer = wr.RunComparer(diff_only="split", layout=wr.Layout(y=7, w=WIDE, h=10))
    runset = _build_runset(folder, "finalists and presets", ["confirm"], with_colours=True)
    return wr.PanelGrid(runsets=[runset], panels=[*panels, comparer])


def _build_first_runs(folder: SweepFolder) -> wr.Runset:
    return _build_runset(folder, "search and presets", ["search", "baseline", "random"], with_colours=True)


def _build_runset(
    folder: SweepFolder, name: str, kinds: Sequence[str], with_colours: bool = False
) -> wr.Runset:
    """Build the set of the sweep's runs of these kinds; arms may have the colours of the figures, presets black."""
    settings = {}
    if with_colours:
        colours = dict.fromkeys((row["arm"] for row in folder.select("baseline")), "ink")
        colours |= choose_arm_colours(folder)
        settings = {
            build_run_id(folder.metadata, row["number"]): wr.RunSettings(
                color=COLOURS[colours.get(row["arm"], "sky")]
            )
            for row in folder.trials
            if row["kind"] in kinds
        }
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    filters = f"Group = '{folder.metadata.unique_name}' and JobType in [{listed}]"
    return wr.Runset(name=name, filters=filters, run_settings=settings)


def _suits_log_axis(folder: SweepFolder, name: str) -> bool:
    """Return whether all values are positive numbers and span a decade or more."""
    values = [row[f"p.{name}"] for row in folder.select("search")]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return len(numbers) == len(values) > 0 and min(numbers) > 0 and max(numbers) >= 10 * min(numbers)
