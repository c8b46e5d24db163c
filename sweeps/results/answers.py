"""`answers/<number>.json`: what confirmed models answer to a few validation examples, segment by segment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hrm.files import write_text_atomically

FOLDER = "answers"


def write_answers(out: Path, number: int, answers: dict[str, Any]) -> None:
    """Writes a job's answers (see `sweeps.running.answers`) into the sweep's folder."""
    (out / FOLDER).mkdir(exist_ok=True)
    write_text_atomically(out / FOLDER / f"{number}.json", json.dumps(answers, separators=(",", ":")) + "\n")


def read_answers(out: Path) -> dict[int, dict[str, Any]]:
    """By job number; empty where no model answers by segments."""
    files = sorted((out / FOLDER).glob("*.json"), key=lambda path: int(path.stem))
    return {int(path.stem): json.loads(path.read_text(encoding="utf-8")) for path in files}
