"""The tables while they are written, and how to read them.

A job's curve and row are on disk before `on_end` returns. `trials.parquet` is rewritten whole each time: a
file cut off in the middle of an append would lose them all.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hrm.config.errors import UnknownNameError
from hrm.config.run_config import RunConfig, qualify
from hrm.models.registry import get_family
from hrm.system.files import write_atomically, write_text_atomically
from sweeps.callbacks.base import Callback
from sweeps.events import Job, Trial, Validation
from sweeps.results.metadata import SweepMetadata
from sweeps.results.schema import CURVE_COLUMNS, OBJECTIVE_PREFIX, PARAMETER_PREFIX, TRIAL_COLUMNS, table

ANSWERS_FOLDER = "answers"


def write_answers(out: Path, number: int, answers: dict[str, Any]) -> None:
    """Writes a job's answers (see `sweeps.execution.trial`) into the sweep's folder."""
    (out / ANSWERS_FOLDER).mkdir(exist_ok=True)
    write_text_atomically(
        out / ANSWERS_FOLDER / f"{number}.json", json.dumps(answers, separators=(",", ":")) + "\n"
    )


def read_answers(out: Path) -> dict[int, dict[str, Any]]:
    """By job number; empty where no model answers by segments."""
    files = sorted((out / ANSWERS_FOLDER).glob("*.json"), key=lambda path: int(path.stem))
    return {int(path.stem): json.loads(path.read_text(encoding="utf-8")) for path in files}


ERRORS_FOLDER = "errors"


def write_traceback(out: Path, number: int, text: str) -> None:
    """Writes a job's traceback into the sweep's folder."""
    (out / ERRORS_FOLDER).mkdir(exist_ok=True)
    write_text_atomically(out / ERRORS_FOLDER / f"{number}.txt", text)


def traceback_files(out: Path) -> dict[int, str]:
    """Where each traceback lies, within the sweep's folder, by job number."""
    return {int(path.stem): f"{ERRORS_FOLDER}/{path.name}" for path in (out / ERRORS_FOLDER).glob("*.txt")}


def space_values(job: Job, names: Iterable[str]) -> dict[str, Any]:
    """The job's values by their names in the space; None for a name that a preset does not have."""
    return {name: _value(job, name) for name in names}


def short(value: Any) -> str:
    """A value as a line of text has room for."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _value(job: Job, name: str) -> Any:
    if name in job.params:
        return job.params[name]
    try:
        section, _, field = qualify(name, job.run.family, job.run.task.name).partition(".")
    except UnknownNameError:
        return None
    return getattr(getattr(job.run, section), field) if field else getattr(job.run, section)


TRIALS = "trials.parquet"
CURVES = "curves"


class Tables(Callback):
    """Writes `trials.parquet` and `curves/` into a sweep's folder, and goes on with those that are there.

    Args:
        out: the folder; it exists.
        context: the sweep's setting.
        trial_number: a job's number to its number in the Optuna study, None where it has none.
    """

    def __init__(self, out: Path, metadata: SweepMetadata, trial_number: Callable[[int], int | None]) -> None:
        self._out, self._context, self._trial_number = out, metadata, trial_number
        self._goals = metadata.goals
        self._started: dict[int, tuple[datetime, float]] = {}
        (out / CURVES).mkdir(exist_ok=True)
        self._rows: dict[int, dict[str, Any]] = {}
        if (out / TRIALS).exists():
            self._rows = {row["number"]: row for row in read_trials(out).to_pylist()}
        else:
            self._write_trials()

    def on_restore(self, trial: Trial) -> None:
        number = trial.number
        spent = trial.last.train_seconds + trial.last.eval_seconds if trial.last else 0.0
        started_at = datetime.fromtimestamp(trial.started_at, UTC)
        self._started[number] = (started_at, time.monotonic() - spent)
        # The row comes after the curve and the ledger's line: only the last one can be missing.
        row = self._rows.get(number)
        if not trial.is_running and (row is None or row.get("revived_at") != _revived_at(trial.job)):
            self.on_end(trial)

    def on_start(self, trial: Trial) -> None:
        now = datetime.now(UTC), time.monotonic()
        if trial.job.resumed_from:
            row = self._rows[trial.number]
            now = row["started_at"], now[1] - row["seconds"]
        self._started[trial.number] = now

    def on_end(self, trial: Trial) -> None:
        job, outcome, reports = trial.job, trial.ended, trial.validations
        assert outcome is not None
        started_at, started = self._started.pop(job.number)
        row = self._row(trial)
        self._rows[job.number] = row | {"seconds": time.monotonic() - started, "started_at": started_at}
        if reports:
            curve = table(CURVE_COLUMNS, self._curve(job, reports))
            _write(curve, self._out / CURVES / f"{job.number}.parquet")
            if reports[-1].answers is not None:
                write_answers(self._out, job.number, reports[-1].answers)
        if outcome.traceback is not None:
            write_traceback(self._out, job.number, outcome.traceback)
        self._write_trials()

    def _write_trials(self) -> None:
        rows = [self._rows[number] for number in sorted(self._rows)]
        _write(table(TRIAL_COLUMNS, rows), self._out / TRIALS)

    def _row(self, trial: Trial) -> dict[str, Any]:
        job, outcome, reports = trial.job, trial.ended, trial.validations
        assert outcome is not None
        metadata, model = self._context, job.run.model
        kind = get_family(job.run.family)
        counts = kind.count(model, job.run.train.batch_size, job.run.train)
        last = trial.last
        row = {
            "number": job.number,
            "kind": job.kind,
            "arm": job.arm,
            "status": outcome.status,
            "error": outcome.error,
            "observed_bytes": outcome.observed_bytes,
            "predicted_bytes": counts.total_bytes,
            "trial": self._trial_number(job.number),
            "revived_at": _revived_at(job),
            "params": job.num_params,
            "trainable_params": counts.trainable_params,
            "puzzle_embedding_params": counts.puzzle_embedding_params,
            "fullness": metadata.budget.fullness(job.num_params),
            "inner_over_width": getattr(model, kind.lattice.inner_width) / getattr(model, kind.lattice.width),
            "flops_per_step": job.flops_per_step,
            "steps_planned": job.run.train.steps,
            "objective": self._goals.first.value(reports),
            "seed": job.run.seed,
            "architecture": architecture(job.run),
            "config": json.dumps(job.run.to_dict()),
            "space_hash": metadata.space_hash,
            "data_fingerprint": metadata.data_fingerprint,
        }
        row |= metadata.provenance.columns()
        if last:
            read_test = any(name.startswith("test/") for name in last.metrics)
            sequences = len(reports) * metadata.num_valid + read_test * metadata.num_test
            row |= _spent(last) | last.metrics
            row["steps"] = last.step
            row["eval_flops"] = round(counts.eval_flops_per_batch / job.run.train.batch_size * sequences)
        if self._goals.several:
            columns = [OBJECTIVE_PREFIX + name for name in self._goals.names]
            reached = self._goals.values(job.run, reports) or [None] * len(columns)
            row |= dict(zip(columns, reached, strict=True))
        values = space_values(job, metadata.value_names)
        return row | {PARAMETER_PREFIX + name: value for name, value in values.items()}

    def _curve(self, job: Job, reports: Sequence[Validation]) -> list[dict[str, Any]]:
        unread = _test_metrics(reports)
        return [
            {
                "number": job.number,
                "index": report.index,
                "step": report.step,
                "fraction": job.fraction_done(report),
                "objective": self._goals.first.value(reports[: i + 1]),
                **_spent(report),
                **unread,
                **report.metrics,
            }
            for i, report in enumerate(reports)
        ]


def read_trials(out: Path) -> pa.Table:
    """`trials.parquet` of a sweep's folder, a row per ended job in the order of their numbers."""
    return _read(out / TRIALS)


def read_curves(out: Path) -> pa.Table:
    """All of `curves/` as one table, by job and report."""
    files = sorted((out / CURVES).glob("*.parquet"), key=lambda path: int(path.stem))
    if not files:
        return table(CURVE_COLUMNS, [])
    return pa.concat_tables([_read(file) for file in files], promote_options="default")


def _read(file: Path) -> pa.Table:
    """A file alone. `read_table`, which looks for a data set around it, takes five times as long, and imports
    pandas where it is installed."""
    content = pa.BufferReader(file.read_bytes())
    return pq.ParquetFile(content, pre_buffer=False).read(use_threads=False)


def _revived_at(job: Job) -> int | None:
    return job.resumed_from[-1].index if job.resumed_from else None


def architecture(run: RunConfig) -> str:
    """A text that is equal exactly when two runs train the same architecture."""
    return json.dumps({"family": run.family, **run.model.architecture}, sort_keys=True)


def _test_metrics(reports: Sequence[Validation]) -> dict[str, None]:
    """A null for each test metric. Polars and duckdb take a folder's files by the columns of the first one, so
    the curve of a job that never reads the test split has these columns, too."""
    valid = (name for report in reports for name in report.metrics if name.startswith("valid/"))
    return {name.replace("valid/", "test/", 1): None for name in valid}


def _spent(report: Validation) -> dict[str, Any]:
    return {
        "train_flops": report.train_flops,
        "train_seconds": report.train_seconds,
        "eval_seconds": report.eval_seconds,
    }


def _write(content: pa.Table, path: Path) -> None:
    write_atomically(path, lambda temporary: pq.write_table(content, temporary, compression="zstd"))
