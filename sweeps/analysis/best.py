"""`best.yaml`, the best configuration with its provenance, and `best.pt`, its weights."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

from hrm.config.run_config import PROVENANCE
from hrm.config.schema import write_yaml
from hrm.system.files import write_atomically
from sweeps.analysis.comparison import Arm
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.execution.checkpoints import get_weights_path
from sweeps.results.schema import Row

FILE_NAME = "best.yaml"
WEIGHTS = "best.pt"


def write_best(out: Path, folder: SweepFolder) -> Path | None:
    """Write the best confirmed arm or, without confirmations, the best completed search trial.

    `python -m hrm.train config=best.yaml` trains it again; its mapping `sweep` says what it is. `best.pt` holds the
    weights after the confirmation run of that configuration; there are none of a search trial, nor of a failed run.

    Args:
        out: the sweep's folder.
        folder: what it holds.

    Returns:
        The path of `best.yaml`, or None if no run has completed.
    """
    config, arm, metadata = folder.best_config, folder.comparisons.best, folder.metadata
    write_weights(out, _find_confirmation(folder, config))
    if config is None:
        return None
    found = (
        _describe_trial(folder.best_trials[0]) if arm is None else _describe_arm(arm, folder.comparisons.arms)
    )
    provenance = found | {
        "space": metadata.name,
        "space_hash": metadata.space_hash,
        "started_at": metadata.started_at,
        "commit": metadata.provenance.commit,
        "objective": metadata.objective,
    }
    write_atomically(out / FILE_NAME, lambda path: write_yaml({**config, PROVENANCE: provenance}, path))
    return out / FILE_NAME


def write_weights(out: Path, number: int | None) -> None:
    """Copy this job's weights to `best.pt`; if it has none, remove those of an earlier winner."""
    weights = None if number is None else get_weights_path(out, number)
    if weights is None or not weights.exists():
        (out / WEIGHTS).unlink(missing_ok=True)
        return
    write_atomically(out / WEIGHTS, partial(shutil.copyfile, weights))


def _find_confirmation(folder: SweepFolder, config: dict[str, Any] | None) -> int | None:
    """Return the number of the completed confirmation run of this configuration."""
    runs = folder.select("confirm", "completed")
    return next((row["number"] for row in runs if folder.read_config(row) == config), None)


def _describe_arm(best: Arm, arms: list[Arm]) -> dict[str, Any]:
    metrics = ["objective", *sorted(name for name in best.scores if name.startswith("test/"))]
    return {
        "what": _describe_kind(best, arms),
        "arm": best.name,
        "n": len(best.get_scores("objective")),
        "means": {name: mean for name in metrics if (mean := best.compute_mean(name)) is not None},
        "seeds": sorted(best.scores["objective"]),
    }


def _describe_kind(best: Arm, arms: list[Arm]) -> str:
    if best.kind == "random":
        return "the best of random search: no searched configuration scored better on fresh seeds"
    if best.is_baseline:
        return f"the preset {best.name} itself: no searched configuration scored better on fresh seeds"
    for arm in arms:
        if arm.kind == "preset" and arm.architecture == best.architecture:
            return f"a searched configuration with the architecture of the preset {arm.name}"
    return "a searched configuration, confirmed on fresh seeds"


def _describe_trial(row: Row) -> dict[str, Any]:
    return {
        "what": "a searched configuration, not confirmed on fresh seeds",
        "arm": row["arm"],
        "n": 1,
        "means": {"objective": row["objective"]},
        "seeds": [row["seed"]],
    }
