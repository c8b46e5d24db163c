"""The report of a sweep: `report.html`, `report.md`, `figures/`, a pure function of the folder that it left."""

from __future__ import annotations

from pathlib import Path

from hrm.files import write_text_atomically

PAGE = "report.html"
MARKDOWN = "report.md"


def write(out: Path) -> str:
    """Writes the figures and the report; returns the few lines that a terminal should end with."""
    from sweeps.report import animation, content, figures, markdown, solving, wording
    from sweeps.report.folder import Folder
    from sweeps.report.page import document

    folder = Folder.read(out)
    charts = figures.charts(folder)
    figures.write(charts, out / "figures")
    shown = solving.solving(folder)
    if shown is not None and animation.fits(shown):
        animation.write(shown, out / "figures" / animation.FILE_NAME)
    said = content.report(folder, charts)
    write_text_atomically(out / MARKDOWN, markdown.document(said))
    write_text_atomically(out / PAGE, document.document(said))
    return "\n".join(wording.closing(folder, out))
