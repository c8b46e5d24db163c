"""The W&B Report of a sweep: the verdict first, then panels over its runs. Built without a server."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hrm.config.schema import read_yaml
from hrm.system.files import write_text_atomically
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.callbacks.wandb.session import BEST_SO_FAR, SUMMARY, run_id
from sweeps.config import WandbConfig
from sweeps.report.blocks import Figure, Section
from sweeps.report.charts.chart import COLOURS
from sweeps.report.charts.layers import choose_arm_colours
from sweeps.report.markdown import render_section
from sweeps.report.sections.verdict import build_reading_guide, build_verdict, describe_verdict
from sweeps.results.output_dir import CONFIG

FILE_NAME = "wandb_report.json"
MAX_TITLE = 128
WIDE, HALF = 24, 12
"""Of a panel, in columns of W&B's grid."""


def write(out: Path, folder: SweepFolder) -> Path:
    """Saves the Report as W&B would get it, beside the tables; keeps the address that publishing gave it.

    Args:
        out: the sweep's folder.
        folder: what it holds.
    """
    report = build(folder, destination(out))
    model = report._to_model()
    saved = {
        **published(out),
        "project": report.project,
        "title": report.title,
        "description": report.description,
        "spec": json.loads(model.spec.model_dump_json(by_alias=True, exclude_none=True)),
    }
    write_text_atomically(out / FILE_NAME, json.dumps(saved, indent=1) + "\n")
    return out / FILE_NAME


def published(out: Path) -> dict[str, Any]:
    """`id` and `url` of the Report that was published from this folder, and the `sweep` that was registered;
    nothing where none was."""
    if not (out / FILE_NAME).exists():
        return {}
    saved = json.loads((out / FILE_NAME).read_text())
    return {name: saved[name] for name in ("id", "url", "sweep") if name in saved}


def destination(out: Path) -> WandbConfig:
    """Project and entity that the sweep was configured with."""
    path = out / CONFIG
    return WandbConfig(**read_yaml(path)["wandb"]) if path.exists() else WandbConfig()


def build(folder: SweepFolder, config: WandbConfig) -> Any:
    """A `wandb_workspaces.reports.v2.Report`."""
    import wandb_workspaces.reports.v2 as wr

    lead, *_ = describe_verdict(folder)
    return wr.Report(
        project=config.project,
        # Without one, the library asks the server whose key this is.
        entity=config.entity or "",
        title=folder.metadata.question[:MAX_TITLE],
        description=lead,
        width="fluid",
        blocks=[
            _said(build_verdict(folder)),
            _said(build_reading_guide(folder)),
            wr.H2("The search"),
            _search(folder),
            wr.H2("Best so far"),
            _best_so_far(folder),
            wr.H2("Accuracy, parameters and compute; presets in black, finalists in red"),
            _sizes(folder),
            wr.H2("Learning curves"),
            _curves(folder),
            wr.H2("Finalists and presets on fresh seeds"),
            _confirmed(folder),
        ],
    )


def _said(section: Section) -> Any:
    import wandb_workspaces.reports.v2 as wr

    texts = [block for block in section.blocks if not isinstance(block, Figure)]
    return wr.MarkdownBlock(render_section(Section(section.title, texts)))


def _search(folder: SweepFolder) -> Any:
    """Parallel coordinates, importance, and the trials over time."""
    import wandb_workspaces.reports.v2 as wr

    columns = [
        wr.ParallelCoordinatesPlotColumn(
            wr.Config(f"p.{name}"), display_name=name, log=_is_spread(folder, name) or None
        )
        for name in folder.metadata.value_names
    ]
    columns.append(
        wr.ParallelCoordinatesPlotColumn(
            wr.SummaryMetric("objective"), display_name=folder.metadata.objective
        )
    )
    higher = folder.metadata.goal.direction == "maximize"
    over_time = wr.ScatterPlot(
        title=f"{folder.metadata.objective} over time, with the best so far",
        x=wr.Metric("CreatedTimestamp"),
        y=wr.SummaryMetric("objective"),
        running_ymax=higher or None,
        running_ymin=not higher or None,
        layout=wr.Layout(x=HALF, y=8, w=HALF, h=8),
    )
    panels: list[Any] = [
        wr.ParallelCoordinatesPlot(columns=columns, layout=wr.Layout(w=WIDE, h=8)),
        wr.ParameterImportancePlot(with_respect_to="objective", layout=wr.Layout(y=8, w=HALF, h=8)),
        over_time,
    ]
    return wr.PanelGrid(runsets=[_runset(folder, "search", ["search"])], panels=panels)


def _best_so_far(folder: SweepFolder) -> Any:
    import wandb_workspaces.reports.v2 as wr

    line = wr.LinePlot(
        title=f"best {folder.metadata.objective} against training FLOPs of the search",
        x="search/train_flops",
        y=[BEST_SO_FAR],
        layout=wr.Layout(w=WIDE, h=7),
    )
    return wr.PanelGrid(runsets=[_runset(folder, "the sweep", [SUMMARY])], panels=[line])


def _sizes(folder: SweepFolder) -> Any:
    """Accuracy against parameters and against FLOPs."""
    import wandb_workspaces.reports.v2 as wr

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
    runset = _runset(folder, "search and presets", ["search", "baseline", "random"], colours=True)
    return wr.PanelGrid(runsets=[runset], panels=panels)


def _curves(folder: SweepFolder) -> Any:
    import wandb_workspaces.reports.v2 as wr

    panels: list[Any] = [
        wr.LinePlot(
            title=name,
            x="train_flops",
            y=[name],
            layout=wr.Layout(x=HALF * i, w=HALF, h=8),
        )
        for i, name in enumerate((folder.metadata.goal.metric, "train/loss"))
    ]
    runset = _runset(folder, "search and presets", ["search", "baseline", "random"], colours=True)
    return wr.PanelGrid(runsets=[runset], panels=panels)


def _confirmed(folder: SweepFolder) -> Any:
    import wandb_workspaces.reports.v2 as wr

    metrics = folder.comparisons.metrics
    panels: list[Any] = [
        wr.BarPlot(
            title=f"{metric}, mean over fresh seeds",
            metrics=[wr.SummaryMetric(metric)],
            groupby=wr.Config("arm"),
            groupby_aggfunc="mean",
            groupby_rangefunc="stddev",
            layout=wr.Layout(x=i * WIDE // len(metrics), w=WIDE // len(metrics), h=7),
        )
        for i, metric in enumerate(metrics)
    ]
    comparer = wr.RunComparer(diff_only="split", layout=wr.Layout(y=7, w=WIDE, h=10))
    runset = _runset(folder, "finalists and presets", ["confirm"], colours=True)
    return wr.PanelGrid(runsets=[runset], panels=[*panels, comparer])


def _runset(folder: SweepFolder, name: str, kinds: Sequence[str], colours: bool = False) -> Any:
    """The sweep's runs of these kinds; coloured: arms as in the figures, presets black, the rest light blue."""
    import wandb_workspaces.reports.v2 as wr

    listed = ", ".join(f"'{kind}'" for kind in kinds)
    settings = {}
    if colours:
        own = dict.fromkeys((row["arm"] for row in folder.select("baseline")), "ink") | choose_arm_colours(
            folder
        )
        for row in folder.trials:
            if row["kind"] in kinds:
                colour = own.get(row["arm"], "sky")
                settings[run_id(folder.metadata, row["number"])] = wr.RunSettings(color=COLOURS[colour])
    filters = f"Group = '{folder.metadata.unique_name}' and JobType in [{listed}]"
    return wr.Runset(name=name, filters=filters, run_settings=settings)


def _is_spread(folder: SweepFolder, name: str) -> bool:
    """Whether a value is one that a logarithmic axis suits: positive, over more than a decade."""
    values = [row[f"p.{name}"] for row in folder.select("search")]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return len(numbers) == len(values) > 0 and min(numbers) > 0 and max(numbers) >= 10 * min(numbers)
