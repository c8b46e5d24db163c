"""The figures of a report, by file name. A new one is a module in `charts/` and a line in `FIGURES`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

from hrm.system.machine import count_cpus
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.report.charts import comparison, importance, pareto, progress, saving, shape
from sweeps.report.charts.chart import Chart

FIGURES: dict[str, Callable[[SweepFolder], Chart | None]] = {
    "confirmed": comparison.build_confirmed,
    "front": pareto.build_front,
    "shape": shape.build_shape,
    "pareto_params": pareto.by_params,
    "pareto_flops": pareto.by_flops,
    "width_depth": shape.build_width_depth,
    "parallel": importance.build_parallel_coordinates,
    "learning_curves": progress.build_learning_curves,
    "best_so_far": progress.build_best_so_far,
    "compute": progress.build_compute,
    "main_effects": importance.main_effects,
    "importance": importance.importance,
}
"""Name to what says the figure; None where the sweep has nothing to show there. What takes long to say comes last:
the others are drawn meanwhile."""
MANY_TRIALS = 300
"""From here on, figures are drawn by processes of their own, which take a second to start."""


def build_charts(folder: SweepFolder) -> dict[str, Chart]:
    """Every figure that the sweep has data for."""
    return dict(_found(folder))


@contextmanager
def draw_charts(folder: SweepFolder, out: Path) -> Iterator[dict[str, Chart]]:
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


def _found(folder: SweepFolder) -> Iterator[tuple[str, Chart]]:
    for name, chart in FIGURES.items():
        if (made := chart(folder)) is not None:
            yield name, made


def _drawers(num_trials: int) -> Executor:
    if num_trials < MANY_TRIALS:
        return ThreadPoolExecutor(1)
    return ProcessPoolExecutor(count_cpus(), get_context("spawn"))
