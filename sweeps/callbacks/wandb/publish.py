"""Publishing a sweep to W&B: its offline runs, then its Report, and on request a W&B Sweep."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import wandb

from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.callbacks.wandb.report import (
    MAX_TITLE,
    build_wandb_report,
    read_destination,
    read_published,
    write_wandb_report,
)
from sweeps.callbacks.wandb.session import (
    build_run_id,
    find_unsent_runs,
    format_error,
    is_logged_in,
    is_retry,
    is_synced,
    read_run_id,
)
from sweeps.errors import PublishError
from sweeps.results.output_dir import lock_output_dir
from sweeps.results.schema import PARAMETER_PREFIX

T = TypeVar("T")

SYNC_SECONDS = 60.0
"""How long syncing may take, and as much again for every 10 runs."""
SAVE_SECONDS = 60.0


def publish(out: Path) -> str:
    """Sync the runs of a sweep's folder and save its Report; done again, it saves the same Report anew.

    Returns:
        The Report's address.

    Raises:
        PublishError: no login, no runs, or a server that does not take them.
        OutputError: the sweep still runs.
    """
    if not is_logged_in():
        hint = "Run `wandb login` or set WANDB_API_KEY"
        raise PublishError("--publish", str(out), "needs a W&B login, and there is none", hint)
    if not any((out / "wandb").glob("*run-*/*.wandb")):
        rule = "holds no W&B runs: its sweep ran with wandb.mode=disabled"
        raise PublishError("--publish", str(out), rule, "wandb.mode=offline keeps them")
    with lock_output_dir(out):  # what a sweep still writes cannot be sent whole
        unsent = find_unsent_runs(out)
        _sync(out, [folder for folder in unsent if not is_retry(folder)])
        for folder in filter(is_retry, unsent):
            _sync(out, [folder], "--id", read_run_id(folder))
        return _save_report(out)


def register_sweep(out: Path) -> str:
    """Make the search's runs, published before, the runs of a W&B Sweep; keep one that has them all.

    Returns:
        The W&B Sweep's address.

    Raises:
        PublishError: the server does not take it.
    """
    folder, saved = SweepFolder.read(out), read_published(out)
    runs = [build_run_id(folder.metadata, row["number"]) for row in folder.select("search")]
    sweep = saved.get("sweep")
    if sweep is None or sweep["runs"] != runs:

        def register() -> str:
            config = read_destination(out)
            entity, project = config.entity or wandb.Api().default_entity, config.project
            with contextlib.redirect_stdout(io.StringIO()):
                return wandb.sweep(describe_search(folder), entity=entity, project=project, prior_runs=runs)

        sweep = {"id": _ask_server(out, "the search could not be registered", register), "runs": runs}
        write_wandb_report(out, folder, sweep=sweep)
    return f"{saved['url'].rpartition('/reports/')[0]}/sweeps/{sweep['id']}"


def describe_search(folder: SweepFolder) -> dict[str, Any]:
    """Describe the search as W&B does: by its goal and the values that its trials have tried."""
    metadata, rows = folder.metadata, folder.select("search")
    tried = {
        name: {"values": list(dict.fromkeys(row[PARAMETER_PREFIX + name] for row in rows))}
        for name in metadata.parameters
    }
    return {
        "name": f"{metadata.name}: {metadata.question}"[:MAX_TITLE],
        "method": "custom",
        "metric": {"name": "objective", "goal": metadata.goal.direction},
        "parameters": {"p": {"parameters": tried}},
    }


def _sync(out: Path, folders: list[Path], *options: str) -> None:
    if not folders:
        return
    command = [sys.executable, "-m", "wandb", "sync", "--include-online", *options, *map(str, folders)]
    seconds = SYNC_SECONDS * (1 + len(folders) / 10)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL, check=False
        )
        if done.returncode == 0 and all(map(is_synced, folders)):
            return
        lines = f"{done.stdout}\n{done.stderr}".strip().splitlines()
        reason = (lines or ["wandb sync printed nothing"])[-1]
    except subprocess.TimeoutExpired:
        reason = f"no answer within {seconds:.0f} s"
    rule = f"could not be synced ({reason})"
    raise PublishError("--publish", str(out), rule, "The runs stay; try again later")


def _save_report(out: Path) -> str:
    folder = SweepFolder.read(out)
    report = build_wandb_report(folder, read_destination(out))
    report.id = read_published(out).get("id", "")

    def save() -> None:
        report.entity = report.entity or str(wandb.Api().default_entity)
        report.save()

    _ask_server(out, "its Report could not be saved", save)
    write_wandb_report(out, folder, id=report.id, url=report.url)
    return report.url


def _ask_server(out: Path, failure: str, call: Callable[[], T]) -> T:
    """Return what a call of W&B's client returns, if it does within `SAVE_SECONDS`.

    Raises:
        PublishError: it does not; the message says `failure`.
    """
    answers: list[T] = []
    failures: list[Exception] = []

    def ask() -> None:
        try:
            answers.append(call())
        except Exception as error:
            failures.append(error)

    # W&B's client tries again for minutes; a daemon thread can be abandoned.
    thread = threading.Thread(target=ask, daemon=True)
    with contextlib.redirect_stderr(io.StringIO()):
        thread.start()
        thread.join(SAVE_SECONDS)
    if answers:
        return answers[0]
    reason = format_error(failures[0]) if failures else f"no answer within {SAVE_SECONDS:.0f} s"
    rule = f"has its runs synced, but {failure} ({reason})"
    raise PublishError("--publish", str(out), rule, "Try again later")
