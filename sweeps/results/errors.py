"""`errors/<number>.txt`: the traceback of each job that failed by an exception."""

from __future__ import annotations

from pathlib import Path

from hrm.files import write_text_atomically

FOLDER = "errors"


def write_traceback(out: Path, number: int, text: str) -> None:
    """Writes a job's traceback into the sweep's folder."""
    (out / FOLDER).mkdir(exist_ok=True)
    write_text_atomically(out / FOLDER / f"{number}.txt", text)


def traceback_files(out: Path) -> dict[int, str]:
    """Where each traceback lies, within the sweep's folder, by job number."""
    return {int(path.stem): f"{FOLDER}/{path.name}" for path in (out / FOLDER).glob("*.txt")}
