"""What W&B's folders in a sweep's folder hold: `wandb/[offline-]run-<time>-<id>`, one each time a run is opened.

A run's log there is `run-<id>.wandb`. It alone tells the id: where a run is opened twice within a second, W&B adds to
the folder's name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

RETRY_SUFFIX = "-offline"
"""Of the id of a run that is kept offline after the server failed to open it: W&B's service process goes on
holding the id itself. Published, it gets its own id again."""
OPEN = "open"
"""File in a run's folder until the run is closed, and where it is online, until the server has taken it."""
SUPERSEDED = "superseded"
"""File in the folder of an offline run that a later one repeats whole."""


def mark_open(run: Any) -> None:
    (_folder(run) / OPEN).touch()


def mark_closed(run: Any) -> None:
    (_folder(run) / OPEN).unlink(missing_ok=True)


def supersede(out: Path, identity: str) -> None:
    """Puts the offline runs of this id aside: one that repeats them is about to be written."""
    for folder in _current(out):
        if run_id(folder) == identity and _is_offline(folder):
            (folder / SUPERSEDED).touch()


def unsent(out: Path) -> Iterator[Path]:
    """Folders of the runs that no server has yet, in the order of their starts."""
    for folder in _current(out):
        if not is_synced(folder) and (_is_offline(folder) or (folder / OPEN).exists()):
            yield folder


def is_synced(folder: Path) -> bool:
    """Whether `wandb sync` has sent it."""
    return any(folder.glob("*.wandb.synced"))


def run_id(folder: Path) -> str:
    """The id of a folder's run, as the server is to know it."""
    return _own_id(folder).removesuffix(RETRY_SUFFIX)


def is_retry(folder: Path) -> bool:
    """Whether the run goes by an id that the server is not to know."""
    return _own_id(folder).endswith(RETRY_SUFFIX)


def _own_id(folder: Path) -> str:
    (log,) = folder.glob("*.wandb")
    return log.stem.removeprefix("run-")


def _current(out: Path) -> list[Path]:
    """Run folders with a log that are not superseded, in the order of their starts."""
    folders = sorted((out / "wandb").glob("*run-*"), key=lambda path: path.name.partition("run-")[2])
    return [
        folder for folder in folders if any(folder.glob("*.wandb")) and not (folder / SUPERSEDED).exists()
    ]


def _is_offline(folder: Path) -> bool:
    return folder.name.startswith("offline-")


def _folder(run: Any) -> Path:
    return Path(run.dir).parent
