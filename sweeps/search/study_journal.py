"""The study's journal as a file: made sound after its writer was killed, before Optuna opens it again."""

from __future__ import annotations

import json
from pathlib import Path

from optuna.storages.journal._file import LOCK_FILE_SUFFIX
from optuna.storages.journal._storage import JournalOperation

JOURNAL = "study.journal"


def cut_back(journal: Path, num_trials: int) -> None:
    """Removes what a killed writer left half done: its lock, half a line, and a trial that never started.

    Optuna writes a new trial in many records. One that stands behind the last trial that started is
    forgotten with all that came of it (a sampler's position, for instance) and will be asked for again.

    Args:
        journal: the file; may be missing. No process has it open.
        num_trials: trials that have started.
    """
    if not journal.exists():
        return
    journal.with_name(journal.name + LOCK_FILE_SUFFIX).unlink(missing_ok=True)
    size, asked = 0, 0
    with journal.open("rb") as file:
        for line in file:
            asked += line.endswith(b"\n") and json.loads(line)["op_code"] == JournalOperation.CREATE_TRIAL
            if asked > num_trials or not line.endswith(b"\n"):
                break
            size += len(line)
    with journal.open("rb+") as file:
        file.truncate(size)
