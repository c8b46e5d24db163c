"""The report of a sweep: `report.html`, `report.md`, `figures/`, a pure function of the folder that it left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hrm.system.files import write_text_atomically

if TYPE_CHECKING:
    from sweeps.analysis.sweep_folder import SweepFolder

PAGE = "report.html"
MARKDOWN = "report.md"


def write_report(out: Path, folder: SweepFolder | None = None) -> str:
    """Writes the figures and the report; returns the few lines that a terminal should end with.

    Args:
        out: a sweep's folder.
        folder: what it holds, where that has been read already.
    """
    from sweeps.analysis import sweep_folder as reader
    from sweeps.report import blocks as markdown
    from sweeps.report import content, figures
    from sweeps.report import format as wording
    from sweeps.report import page as document
    from sweeps.report.sections import examples as animation
    from sweeps.report.sections import examples as solving
    from sweeps.results.output_dir import lock_reports

    folder = folder or reader.SweepFolder.read(out)
    with lock_reports(out), figures.draw_charts(folder, out / "figures") as charts:
        shown = solving.solving(folder)
        if shown is not None and animation.fits(shown):
            animation.write(shown, out / "figures" / animation.FILE_NAME)
        said = content.build_report(folder, charts)
        write_text_atomically(out / MARKDOWN, markdown.render_markdown(said))
        write_text_atomically(out / PAGE, document.render_page(said))
    return "\n".join(wording.format_closing_lines(folder, out))
