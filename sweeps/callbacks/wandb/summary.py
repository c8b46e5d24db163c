"""The summary run: what a whole sweep found, its tables, its best configuration and, if kept, its weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sweeps.analysis.best import FILE_NAME as BEST
from sweeps.analysis.best import WEIGHTS
from sweeps.analysis.sweep_folder import Row, SweepFolder
from sweeps.callbacks.wandb import report
from sweeps.callbacks.wandb.session import BEST_SO_FAR, SUMMARY, Session, one_line, tags
from sweeps.report.sections.verdict import describe_verdict
from sweeps.results.metadata import FILE_NAME as CONTEXT
from sweeps.results.output_dir import CONFIG
from sweeps.results.tables import CURVES, TRIALS


def write(session: Session, status: str) -> None:
    """Writes the summary run of a sweep whose folder is complete, and its Report beside the tables.

    A failure costs a warning.

    Args:
        session: of the sweep; nothing is written where it has given up.
        status: `completed` or `interrupted`.
    """
    if session.mode == "disabled":
        return
    import wandb

    try:
        folder = SweepFolder.read(session.out)
        run = session.open(
            SUMMARY, SUMMARY, SUMMARY, tags(folder.metadata, SUMMARY, status), _config(session.out, folder)
        )
        run.define_metric("*", step_metric="search/trial")
        for number, row in enumerate(best_so_far(folder)):
            if number >= run.step:  # a resumed sweep has the first ones already
                run.log(row, step=number, commit=True)
        run.summary.update(_figures(folder) | {"status": status})
        for artifact in _artifacts(session.out, folder):
            run.log_artifact(artifact)
        session.close(run, exit_code=0 if status == "completed" else 1)
        report.write(session.out, folder)
        wandb.teardown()
    except Exception as error:
        session.give_up(f"has no summary: {one_line(error)}")


def best_so_far(folder: SweepFolder) -> Iterator[Row]:
    """The search, a row a trial in the order of starting: its compute up to there and the best found."""
    for row, spent, best in folder.follow_search():
        known = {"search/trial": row["trial"], "search/train_flops": spent, BEST_SO_FAR: best}
        yield {name: value for name, value in known.items() if value is not None}


def _config(out: Path, folder: SweepFolder) -> dict[str, Any]:
    from hrm.config.schema import read_yaml

    metadata = folder.metadata
    return {
        "sweep": read_yaml(out / CONFIG) if (out / CONFIG).exists() else {},
        "command": metadata.command,
        "question": metadata.question,
        "space_hash": metadata.space_hash,
        "data_fingerprint": metadata.data_fingerprint,
        "commit": metadata.provenance.commit,
        "versions": metadata.provenance.versions,
        "hardware": metadata.provenance.hardware,
    }


def _figures(folder: SweepFolder) -> dict[str, Any]:
    """The verdict in words, how the runs ended, and each confirmed arm's means."""
    found = folder.comparisons
    figures: dict[str, Any] = {"verdict": " ".join(describe_verdict(folder))}
    for status in ("completed", "pruned", "failed"):
        figures[f"runs/{status}"] = sum(row["status"] == status for row in folder.trials)
    figures["train_flops"] = sum(row["train_flops"] or 0 for row in folder.trials)
    if found.best:
        figures["best/arm"] = found.best.name
        figures["best/params"] = found.best.params
        for metric in ("objective", *found.metrics):
            if (mean := found.best.compute_mean(metric)) is not None:
                figures[f"best/{metric}"] = mean
    return figures


def _artifacts(out: Path, folder: SweepFolder) -> Iterator[Any]:
    import wandb

    name = folder.metadata.unique_name
    tables = wandb.Artifact(f"{name}-tables", type="tables", description=folder.metadata.question)
    for file in (TRIALS, CONTEXT, "report.md"):
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
