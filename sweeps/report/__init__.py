"""The report of a sweep: `report.md` and `figures/`, a pure function of the folder that the sweep left."""

from __future__ import annotations

from pathlib import Path

from sweeps.results.files import write_text_atomically


def write(out: Path) -> str:
    """Writes the figures and the report; returns the few lines that a terminal should end with."""
    from sweeps.report import figures, markdown, wording
    from sweeps.report.folder import Folder

    folder = Folder.read(out)
    drawn = figures.charts(folder)
    figures.write(drawn, out / "figures")
    write_text_atomically(out / "report.md", markdown.document(folder, drawn))
    return "\n".join(wording.closing(folder, out))
