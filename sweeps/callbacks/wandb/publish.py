"""Brings a finished sweep to W&B: its offline runs, then its Report."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from hrm.system.files import write_text_atomically
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.callbacks.wandb import report
from sweeps.callbacks.wandb import session as run_folders
from sweeps.callbacks.wandb.session import logged_in, one_line, run_id
from sweeps.errors import PublishError
from sweeps.results import output_dir as output
from sweeps.results.schema import PARAMETER_PREFIX

T = TypeVar("T")

SYNC_SECONDS = 60.0
"""Most that syncing waits, and as much again for every 10 runs."""
SAVE_SECONDS = 60.0


def publish(out: Path) -> str:
    """Syncs the runs of a sweep's folder and saves its Report; again, it saves the same Report anew.

    Returns:
        The Report's address.

    Raises:
        PublishError: no login, no runs, or a server that does not take them.
        OutputError: the sweep still runs.
    """
    if not logged_in():
        hint = "Run `wandb login` or set WANDB_API_KEY"
        raise PublishError("--publish", str(out), "needs a W&B login, and there is none", hint)
    if not any((out / "wandb").glob("*run-*/*.wandb")):
        rule = "holds no W&B runs: its sweep ran with wandb.mode=disabled"
        raise PublishError("--publish", str(out), rule, "wandb.mode=offline keeps them")
    with output.held(out):  # what a sweep still writes cannot be sent whole
        _sync_all(out)
        return _save(out)


def _sync_all(out: Path) -> None:
    unsent = [*run_folders.unsent(out)]
    whole = [folder for folder in unsent if not run_folders.is_retry(folder)]
    if whole:
        _sync(out, whole)
    for folder in unsent:
        if run_folders.is_retry(folder):
            _sync(out, [folder], "--id", run_folders.read_run_id(folder))


def _sync(out: Path, folders: list[Path], *options: str) -> None:
    command = [sys.executable, "-m", "wandb", "sync", "--include-online", *options, *map(str, folders)]
    seconds = SYNC_SECONDS * (1 + len(folders) / 10)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL, check=False
        )
        said = f"{done.stdout}\n{done.stderr}"
        if done.returncode == 0 and all(run_folders.is_synced(folder) for folder in folders):
            return
        reason = (said.strip().splitlines() or ["wandb sync said nothing"])[-1]
    except subprocess.TimeoutExpired:
        reason = f"no answer within {seconds:.0f} s"
    raise PublishError(
        "--publish", str(out), f"could not be synced ({reason})", "The runs stay; try again later"
    )


def _save(out: Path) -> str:
    folder = SweepFolder.read(out)
    built = report.build(folder, report.destination(out))
    built.id = report.published(out).get("id", "")

    def save() -> None:
        if not built.entity:
            import wandb

            built.entity = wandb.Api().default_entity
        built.save()

    asked(out, "its Report could not be saved", save)
    _remember(out, folder, built)
    return str(built.url)


def asked(out: Path, failure: str, call: Callable[[], T]) -> T:
    """What a call of W&B's client returns, if it does within `SAVE_SECONDS`.

    Raises:
        PublishError: it does not; it begins with `failure`.
    """
    answers: list[T] = []
    failures: list[Exception] = []

    def ask() -> None:
        try:
            answers.append(call())
        except Exception as error:
            failures.append(error)

    # W&B's client asks again for minutes; a thread can be left to it.
    thread = threading.Thread(target=ask, daemon=True)
    with contextlib.redirect_stderr(io.StringIO()):
        thread.start()
        thread.join(SAVE_SECONDS)
    if answers:
        return answers[0]
    reason = one_line(failures[0]) if failures else f"no answer within {SAVE_SECONDS:.0f} s"
    raise PublishError(
        "--publish", str(out), f"has its runs synced, but {failure} ({reason})", "Try again later"
    )


def _remember(out: Path, folder: SweepFolder, built: Any) -> None:
    path = report.write(out, folder)
    saved = json.loads(path.read_text()) | {"id": built.id, "url": built.url}
    write_text_atomically(path, json.dumps(saved, indent=1) + "\n")


def register(out: Path) -> str:
    """Makes the search's runs, published before, the runs of a W&B Sweep; one that holds them all is kept.

    Returns:
        The sweep's address.

    Raises:
        PublishError: the server does not take it.
    """
    folder, saved = SweepFolder.read(out), report.published(out)
    runs = [run_id(folder.metadata, row["number"]) for row in folder.select("search")]
    known = saved.get("sweep")
    if known is None or known["runs"] != runs:
        sweep = asked(out, "the search could not be registered", lambda: _register(out, folder, runs))
        known = {"id": sweep, "runs": runs}
        content = json.loads((out / report.FILE_NAME).read_text()) | {"sweep": known}
        write_text_atomically(out / report.FILE_NAME, json.dumps(content, indent=1) + "\n")
    return f"{saved['url'].rpartition('/reports/')[0]}/sweeps/{known['id']}"


def description(folder: SweepFolder) -> dict[str, Any]:
    """The search as W&B describes one: its goal, and the values that its trials have tried."""
    metadata = folder.metadata
    columns = {
        name: [row[PARAMETER_PREFIX + name] for row in folder.select("search")]
        for name in metadata.parameters
    }
    tried = {name: {"values": list(dict.fromkeys(values))} for name, values in columns.items()}
    return {
        "name": f"{metadata.name}: {metadata.question}"[: report.MAX_TITLE],
        "method": "custom",
        "metric": {"name": "objective", "goal": metadata.goal.direction},
        "parameters": {"p": {"parameters": tried}},
    }


def _register(out: Path, folder: SweepFolder, runs: list[str]) -> str:
    import wandb

    config = report.destination(out)
    entity = config.entity or wandb.Api().default_entity
    with contextlib.redirect_stdout(io.StringIO()):
        return wandb.sweep(description(folder), entity=entity, project=config.project, prior_runs=runs)
