"""The figures of a report, by file name. A new one is a module in `charts/` and a line in `FIGURES`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

from hrm.machine import available_cpus
from sweeps.report.charts import (
    best_so_far,
    compute,
    confirmed,
    effects,
    front,
    learning_curves,
    parallel,
    pareto,
    saving,
    shape,
    width_depth,
)
from sweeps.report.charts.chart import Chart
from sweeps.report.folder import Folder

FIGURES: dict[str, Callable[[Folder], Chart | None]] = {
    "confirmed": confirmed.chart,
    "front": front.chart,
    "shape": shape.chart,
    "pareto_params": pareto.by_params,
    "pareto_flops": pareto.by_flops,
    "width_depth": width_depth.chart,
    "parallel": parallel.chart,
    "learning_curves": learning_curves.chart,
    "best_so_far": best_so_far.chart,
    "compute": compute.chart,
    "main_effects": effects.main_effects,
    "importance": effects.importance,
}
"""Name to what says the figure; None where the sweep has nothing to show there. What takes long to say comes last:
the others are drawn meanwhile."""
MANY_TRIALS = 300
"""From here on, figures are drawn by processes of their own, which take a second to start."""


def charts(folder: Folder) -> dict[str, Chart]:
    """Every figure that the sweep has data for."""
    return dict(_found(folder))


@contextmanager
def drawn(folder: Folder, out: Path) -> Iterator[dict[str, Chart]]:
    """The same; they are drawn while the block runs, and lie in `out` when it has ended."""
    out.mkdir(exist_ok=True)
    found, drawings = {}, []
    with _drawers(len(folder.trials)) as drawers:
        for name, chart in _found(folder):
            found[name] = chart
            drawings.append(drawers.submit(saving.save, chart, name, out))
        yield found
        for drawing in drawings:
            drawing.result()


def write(charts: Mapping[str, Chart], out: Path) -> None:
    """Draws the charts into `out`, as PNG and SVG."""
    out.mkdir(exist_ok=True)
    for name, chart in charts.items():
        saving.save(chart, name, out)


def _found(folder: Folder) -> Iterator[tuple[str, Chart]]:
    for name, chart in FIGURES.items():
        if (made := chart(folder)) is not None:
            yield name, made


def _drawers(num_trials: int) -> Executor:
    if num_trials < MANY_TRIALS:
        return ThreadPoolExecutor(1)
    return ProcessPoolExecutor(available_cpus(), get_context("spawn"))
