"""The files of a report: `report.html`, `report.md` and `figures/`, a pure function of the sweep's folder."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from hrm.system.files import write_text_atomically
from hrm.system.machine import count_cpus
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.report.blocks import Report, list_drawings
from sweeps.report.markdown import render_markdown
from sweeps.report.page import render_page
from sweeps.report.sections import build_report
from sweeps.report.sections.scaling import build_scaling_report
from sweeps.report.sections.verdict import describe_verdict
from sweeps.results.output_dir import lock_reports

MANY_TRIALS = 300
"""From here on, figures are drawn by processes of their own, which take a second to start."""


def write_report(out: Path, folder: SweepFolder) -> str:
    """Write the report of a sweep; return the few lines with which a terminal should end.

    Args:
        out: the sweep's folder.
        folder: what it holds.
    """
    with lock_reports(out):
        _write_files(build_report(folder), out, "report", len(folder.trials))
    return "\n".join(format_closing_lines(folder, out))


def write_scaling_report(folders: Sequence[Path]) -> str:
    """Write what several sweeps show together into the folder above them; return a line for the terminal."""
    out = find_common_parent(folders)
    _write_files(build_scaling_report([SweepFolder.read(folder) for folder in folders]), out, "scaling")
    return f"Together: {os.path.relpath(out / 'scaling.md')}"


def find_common_parent(folders: Sequence[Path]) -> Path:
    """Return the nearest folder that contains all of them and is none of them."""
    resolved = [folder.resolve() for folder in folders]
    common = Path(os.path.commonpath(resolved))
    return common.parent if common in resolved else common


def format_closing_lines(folder: SweepFolder, out: Path) -> list[str]:
    """Return the lines with which a terminal should end: the verdict and the paths."""
    shown = Path(os.path.relpath(out)) if out.resolve().is_relative_to(Path.cwd()) else out
    lines = ["", *describe_verdict(folder), *folder.metadata.notes]
    lines.append(f"Report: {shown / 'report.html'}, as text {shown / 'report.md'}")
    if (out / "best.yaml").exists():
        lines.append(f"Train the best configuration again: python -m hrm.train config={shown / 'best.yaml'}")
    return lines


def _write_files(report: Report, out: Path, name: str, num_trials: int = 0) -> None:
    """Write the documents and draw the figures, each section's while the next ones are built."""
    figures = out / "figures"
    figures.mkdir(exist_ok=True)
    sections, drawings = [], []
    with _start_drawers(num_trials) as drawers:
        for section in report.sections:
            sections.append(section)
            drawings += [drawers.submit(draw) for draw in list_drawings(section.blocks, figures)]
        report = dataclasses.replace(report, sections=sections)
        write_text_atomically(out / f"{name}.md", render_markdown(report))
        write_text_atomically(out / f"{name}.html", render_page(report))
        for drawing in drawings:
            drawing.result()


def _start_drawers(num_trials: int) -> Executor:
    if num_trials < MANY_TRIALS:
        return ThreadPoolExecutor(1)
    return ProcessPoolExecutor(count_cpus(), get_context("spawn"))
