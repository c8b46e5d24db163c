"""Registers a search that is published as a W&B Sweep, so that W&B's own sweep page shows it."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

from hrm.files import write_text_atomically
from sweeps.faces.wandb import report
from sweeps.faces.wandb.publish import asked
from sweeps.faces.wandb.session import run_id
from sweeps.report.folder import Folder
from sweeps.results.schema import PARAMETER_PREFIX


def register(out: Path) -> str:
    """Makes the search's runs, published before, the runs of a W&B Sweep; one that holds them all is kept.

    Returns:
        The sweep's address.

    Raises:
        PublishError: the server does not take it.
    """
    folder, saved = Folder.read(out), report.published(out)
    runs = [run_id(folder.context, row["number"]) for row in folder.of("search")]
    known = saved.get("sweep")
    if known is None or known["runs"] != runs:
        sweep = asked(out, "the search could not be registered", lambda: _register(out, folder, runs))
        known = {"id": sweep, "runs": runs}
        content = json.loads((out / report.FILE_NAME).read_text()) | {"sweep": known}
        write_text_atomically(out / report.FILE_NAME, json.dumps(content, indent=1) + "\n")
    return f"{saved['url'].rpartition('/reports/')[0]}/sweeps/{known['id']}"


def description(folder: Folder) -> dict[str, Any]:
    """The search as W&B describes one: its goal, and the values that its trials have tried."""
    context = folder.context
    columns = {
        name: [row[PARAMETER_PREFIX + name] for row in folder.of("search")] for name in context.parameters
    }
    tried = {name: {"values": list(dict.fromkeys(values))} for name, values in columns.items()}
    return {
        "name": f"{context.name}: {context.question}"[: report.MAX_TITLE],
        "method": "custom",
        "metric": {"name": "objective", "goal": context.goal.direction},
        "parameters": {"p": {"parameters": tried}},
    }


def _register(out: Path, folder: Folder, runs: list[str]) -> str:
    import wandb

    config = report.destination(out)
    entity = config.entity or wandb.Api().default_entity
    with contextlib.redirect_stdout(io.StringIO()):
        return wandb.sweep(description(folder), entity=entity, project=config.project, prior_runs=runs)
