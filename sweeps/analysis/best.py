"""`best.yaml`: the configuration to retrain, with the word of where it comes from; `best.pt`: its weights."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from hrm.config.run_config import PROVENANCE
from hrm.config.schema import write_yaml
from hrm.system.files import write_atomically
from sweeps.analysis.comparison import Arm, find_best_arm, read_arms
from sweeps.execution.checkpoints import get_weights_path
from sweeps.results.metadata import SweepMetadata, read_metadata
from sweeps.results.tables import read_trials

FILE_NAME = "best.yaml"
WEIGHTS = "best.pt"


def write_best(out: Path) -> Path | None:
    """Writes the best confirmed arm, or without confirmations the best completed search trial.

    `python -m hrm.train config=best.yaml` trains it again; its mapping `sweep` says what it is. `best.pt` are the
    weights after that very run; there are none of a search trial, nor where the run failed.

    Returns:
        The file, or None when no run has completed.
    """
    metadata, trials = read_metadata(out), read_trials(out)
    found = _confirmed(trials, metadata) or _searched(trials, metadata)
    write_weights(out, _number_of(trials, found[0]) if found else None)
    if found is None:
        return None
    config, provenance = found
    shared = {
        "space": metadata.name,
        "space_hash": metadata.space_hash,
        "started_at": metadata.started_at,
        "commit": metadata.provenance.commit,
        "objective": metadata.objective,
    }
    values = {**config, PROVENANCE: provenance | shared}
    write_atomically(out / FILE_NAME, lambda path: write_yaml(values, path))
    return out / FILE_NAME


def write_weights(out: Path, number: int | None) -> None:
    """Makes this job's weights the folder's `best.pt`; without them, none stay there from an earlier winner."""
    trained = None if number is None else get_weights_path(out, number)
    if trained is None or not trained.exists():
        (out / WEIGHTS).unlink(missing_ok=True)
        return
    write_atomically(out / WEIGHTS, partial(shutil.copyfile, trained))


def _number_of(trials: pa.Table, config: dict[str, Any]) -> int | None:
    """Of the confirmation that ran this configuration to its end."""
    rows = trials.select(["number", "kind", "status", "config"]).to_pylist()
    ended = [row for row in rows if (row["kind"], row["status"]) == ("confirm", "completed")]
    return next((row["number"] for row in ended if json.loads(row["config"]) == config), None)


def _confirmed(trials: pa.Table, metadata: SweepMetadata) -> tuple[dict[str, Any], dict[str, Any]] | None:
    arms = read_arms(trials, metadata.budget)
    best = find_best_arm(arms, metadata)
    if best is None:
        return None
    names = ["objective", *sorted(name for name in best.scores if name.startswith("test/"))]
    return best.config, {
        "what": _what(best, arms),
        "arm": best.name,
        "n": len(best.get_scores("objective")),
        "means": {name: best.mean(name) for name in names if best.mean(name) is not None},
        "seeds": sorted(best.scores["objective"]),
    }


def _what(best: Arm, arms: list[Arm]) -> str:
    if best.kind == "random":
        return "the best of random search: no searched configuration scored better on fresh seeds"
    if best.is_baseline:
        return f"the preset {best.name} itself: no searched configuration scored better on fresh seeds"
    for arm in arms:
        if arm.kind == "preset" and arm.architecture == best.architecture:
            return f"a searched configuration with the architecture of the preset {arm.name}"
    return "a searched configuration, confirmed on fresh seeds"


def _searched(trials: pa.Table, metadata: SweepMetadata) -> tuple[dict[str, Any], dict[str, Any]] | None:
    rows = [
        row
        for row in trials.to_pylist()
        if row["kind"] == "search" and row["status"] == "completed" and row["objective"] is not None
    ]
    if not rows:
        return None
    best = min(rows, key=lambda row: metadata.goal.get_sort_key(row["objective"]))
    return json.loads(best["config"]), {
        "what": "a searched configuration, not confirmed on fresh seeds",
        "arm": best["arm"],
        "n": 1,
        "means": {"objective": best["objective"]},
        "seeds": [best["seed"]],
    }
