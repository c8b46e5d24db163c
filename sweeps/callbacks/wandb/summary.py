"""The summary run: what a whole sweep found, its tables, its best configuration and, if kept, its weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hrm.config.schema import read_yaml
from sweeps.analysis.best import FILE_NAME as BEST
from sweeps.analysis.best import WEIGHTS
from sweeps.analysis.sweep_folder import Row, SweepFolder
from sweeps.callbacks.wandb.session import BEST_SO_FAR, SUMMARY, WandbSession, build_tags, format_error
from sweeps.events import list_statuses
from sweeps.report.sections.verdict import describe_verdict
from sweeps.results.metadata import METADATA
from sweeps.results.output_dir import CONFIG
from sweeps.results.tables import CURVES, TRIALS


def write_summary(session: WandbSession, status: str) -> None:
    """Write the summary run of a sweep whose folder is complete, and its W&B Report. A failure costs a warning.

    Args:
        session: the sweep's; nothing is written if it has given W&B up.
        status: `completed` or `interrupted`.
    """
    if session.mode == "disabled":
        return
    import wandb

    from sweeps.callbacks.wandb.report import write_wandb_report

    try:
        folder = SweepFolder.read(session.out)
        tags = build_tags(folder.metadata, SUMMARY, status)
        run = session.open(SUMMARY, SUMMARY, SUMMARY, tags, _build_config(session.out, folder))
        run.define_metric("*", step_metric="search/trial")
        for number, row in enumerate(find_best_so_far(folder)):
            if number >= run.step:  # a resumed sweep has the first ones already
                run.log(row, step=number, commit=True)
        run.summary.update(_summarize(folder) | {"status": status})
        for artifact in _build_artifacts(session.out, folder):
            run.log_artifact(artifact)
        session.close(run, exit_code=0 if status == "completed" else 1)
        write_wandb_report(session.out, folder)
        wandb.teardown()
    except Exception as error:
        session.give_up(f"has no summary: {format_error(error)}")


def find_best_so_far(folder: SweepFolder) -> Iterator[Row]:
    """Yield a row per search trial, in the order of starting: the FLOPs spent up to it and the best found."""
    for row, spent, best in folder.follow_search():
        known = {"search/trial": row["trial"], "search/train_flops": spent, BEST_SO_FAR: best}
        yield {name: value for name, value in known.items() if value is not None}


def _build_config(out: Path, folder: SweepFolder) -> dict[str, Any]:
    metadata = folder.metadata
    return {
        "sweep": read_yaml(out / CONFIG) if (out / CONFIG).exists() else {},
        "command": metadata.command,
        "question": metadata.question,
        "space_hash": metadata.space_hash,
        "data_fingerprint": metadata.data_fingerprint,
        **dataclasses.asdict(metadata.provenance),
    }


def _summarize(folder: SweepFolder) -> dict[str, Any]:
    """Return the verdict in words, how the runs ended, and the means of the best arm."""
    values: dict[str, Any] = {"verdict": " ".join(describe_verdict(folder))}
    ended = [row["status"] for row in folder.trials]
    values |= {f"runs/{status}": ended.count(status) for status in list_statuses(ended)}
    values["train_flops"] = sum(row["train_flops"] or 0 for row in folder.trials)
    if best := folder.comparisons.best:
        values |= {"best/arm": best.name, "best/params": best.params}
        means = {metric: best.compute_mean(metric) for metric in ("objective", *folder.comparisons.metrics)}
        values |= {f"best/{metric}": mean for metric, mean in means.items() if mean is not None}
    return values


def _build_artifacts(out: Path, folder: SweepFolder) -> Iterator[Any]:
    import wandb

    name = folder.metadata.unique_name
    tables = wandb.Artifact(f"{name}-tables", type="tables", description=folder.metadata.question)
    for file in (TRIALS, METADATA, "report.md"):
        if (out / file).exists():
            tables.add_file(str(out / file))
    for curve in (out / CURVES).glob("*.parquet"):
        tables.add_file(str(curve), name=f"{CURVES}/{curve.name}")
    yield tables
    for file, kind in ((BEST, "config"), (WEIGHTS, "model")):
        if (out / file).exists():
            artifact = wandb.Artifact(f"{name}-{Path(file).stem}-{kind}", type=kind)
            artifact.add_file(str(out / file))
            yield artifact
