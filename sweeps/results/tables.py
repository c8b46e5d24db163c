"""The tables of a sweep's folder, written while it runs, and their readers."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
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
from sweeps.errors import OutputError
from sweeps.events import Job, Trial, Validation
from sweeps.results.metadata import METADATA, SweepMetadata
from sweeps.results.output_dir import lock_output_dir
from sweeps.results.schema import (
    CURVE_COLUMNS,
    OBJECTIVE_PREFIX,
    PARAMETER_PREFIX,
    RENAMED_COLUMNS,
    TRIAL_COLUMNS,
    build_table,
)
from sweeps.search.objectives import Objective

TRIALS = "trials.parquet"
ROW_LOG = "trials.jsonl"
"""Rows that are not in `trials.parquet` yet, one JSON line each; the file is not there when there are none."""
CURVES = "curves"
ANSWERS = "answers"
ERRORS = "errors"
ROWS_PER_LOGGED = 20
"""`trials.parquet` is written again once the log holds one in so many rows."""


class TableWriter(Callback):
    """Writes `trials.parquet` and `curves/`, and continues those of a sweep that is resumed.

    A trial's curve and row are on disk when `on_end` returns. Parquet files cannot be appended to, and writing all
    rows at each end would cost more the more trials there are. So a row is appended to a log first, and the table
    written again once the log has grown by a fixed share of it: on average an end writes at most `ROWS_PER_LOGGED`
    rows, however many there are. Readers add the log to the table.

    Args:
        out: the sweep's folder, which exists.
        metadata: the sweep's.
        get_trial_number: maps a job's number to its number in the Optuna study; None where it has none.
    """

    def __init__(
        self, out: Path, metadata: SweepMetadata, get_trial_number: Callable[[int], int | None]
    ) -> None:
        self._out, self._metadata, self._get_trial_number = out, metadata, get_trial_number
        self._goals = metadata.goals
        self._started: dict[int, tuple[datetime, float]] = {}
        """When each running trial started, by the calendar and by the monotonic clock."""
        self._rows: dict[int, dict[str, Any]] = {}
        (out / CURVES).mkdir(exist_ok=True)
        if (out / TRIALS).exists():
            self._rows = {row["number"]: row for row in read_trials(out).to_pylist()}
        self._write_trials()

    def on_restore(self, trial: Trial) -> None:
        spent = trial.last.train_seconds + trial.last.eval_seconds if trial.last else 0.0
        started_at = datetime.fromtimestamp(trial.started_at, UTC)
        self._started[trial.number] = (started_at, time.monotonic() - spent)
        # The row is written after the curve and the event log: it can be missing, or be that of before a resumption.
        row = self._rows.get(trial.number)
        if not trial.is_running and (row is None or row.get("resumed_from") != _find_resumption(trial.job)):
            self.on_end(trial)

    def on_start(self, trial: Trial) -> None:
        started_at, seconds = datetime.now(UTC), 0.0
        if trial.job.resumed_from:
            row = self._rows[trial.number]
            started_at, seconds = row["started_at"], row["seconds"]
        self._started[trial.number] = (started_at, time.monotonic() - seconds)

    def on_end(self, trial: Trial) -> None:
        assert trial.ended is not None
        started_at, start = self._started.pop(trial.number)
        row = self._build_row(trial) | {"seconds": time.monotonic() - start, "started_at": started_at}
        if trial.last:
            curve = build_table(CURVE_COLUMNS, self._build_curve(trial.job, trial.validations))
            _write_table(curve, self._out / CURVES / f"{trial.number}.parquet")
            if trial.last.answers is not None:
                write_answers(self._out, trial.number, trial.last.answers)
        if trial.ended.traceback is not None:
            write_traceback(self._out, trial.number, trial.ended.traceback)
        self._write_row(row)

    def close(self) -> None:
        if self._num_logged:
            self._write_trials()

    def _write_row(self, row: dict[str, Any]) -> None:
        line = json.dumps({**row, "started_at": row["started_at"].isoformat()}, separators=(",", ":"))
        with (self._out / ROW_LOG).open("ab") as file:
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._rows[row["number"]] = row
        self._num_logged += 1
        if self._num_logged * ROWS_PER_LOGGED >= len(self._rows):
            self._write_trials()

    def _write_trials(self) -> None:
        rows = [self._rows[number] for number in sorted(self._rows)]
        _write_complete_table(build_table(TRIAL_COLUMNS, rows), self._out)
        self._num_logged = 0

    def _build_row(self, trial: Trial) -> dict[str, Any]:
        job, ended, last = trial.job, trial.ended, trial.last
        assert ended is not None
        metadata, model, batch_size = self._metadata, job.run.model, job.run.train.batch_size
        family = get_family(job.run.family)
        counts = family.count(model, batch_size, job.run.train)
        width, inner_width = getattr(model, family.width), getattr(model, family.inner_width)
        row = {
            "number": job.number,
            "kind": job.kind,
            "arm": job.arm,
            "status": ended.status,
            "error": ended.error,
            "observed_bytes": ended.observed_bytes,
            "predicted_bytes": counts.total_bytes,
            "trial": self._get_trial_number(job.number),
            "resumed_from": _find_resumption(job),
            "params": job.num_params,
            "trainable_params": counts.trainable_params,
            "puzzle_embedding_params": counts.puzzle_embedding_params,
            "budget_used": metadata.budget.used_share(job.num_params),
            "inner_over_width": inner_width / width,
            "flops_per_step": job.flops_per_step,
            "steps_planned": job.run.train.steps,
            "objective": self._goals.first.compute_value(trial.validations),
            "seed": job.run.seed,
            "architecture": encode_architecture(job.run),
            "config": json.dumps(job.run.to_dict()),
            "space_hash": metadata.space_hash,
            "data_fingerprint": metadata.data_fingerprint,
            **metadata.provenance.to_columns(),
        }
        if last:
            read_test = any(name.startswith("test/") for name in last.metrics)
            sequences = len(trial.validations) * metadata.num_valid + read_test * metadata.num_test
            row["steps"] = last.step
            row["eval_flops"] = round(counts.eval_flops_per_batch / batch_size * sequences)
            row |= _get_costs(last) | last.metrics
        if self._goals.several:
            values = self._goals.compute_values(job.run, trial.validations) or [None] * len(self._goals.names)
            names = (OBJECTIVE_PREFIX + name for name in self._goals.names)
            row |= dict(zip(names, values, strict=True))
        parameters = get_space_values(job, metadata.value_names)
        return row | {PARAMETER_PREFIX + name: value for name, value in parameters.items()}

    def _build_curve(self, job: Job, validations: Sequence[Validation]) -> list[dict[str, Any]]:
        # Polars and duckdb read a folder's files by the columns of the first one, so curves of trials that never
        # read the test split have its columns, too.
        valid = (name for one in validations for name in one.metrics if name.startswith("valid/"))
        unread = {name.replace("valid/", "test/", 1): None for name in valid}
        first = self._goals.first
        return [
            {
                "number": job.number,
                "index": one.index,
                **unread,
                **build_curve_point(job, validations[:i], first),
            }
            for i, one in enumerate(validations, 1)
        ]


def build_curve_point(job: Job, validations: Sequence[Validation], goal: Objective) -> dict[str, Any]:
    """Return progress, costs, objective and metrics of a job at the last of these validations."""
    last = validations[-1]
    return {
        "step": last.step,
        "fraction": job.fraction_done(last),
        "objective": goal.compute_value(validations),
        **_get_costs(last),
        **last.metrics,
    }


def check_is_sweep(out: Path) -> None:
    """Check that a folder holds a sweep's tables.

    Raises:
        OutputError: it does not.
    """
    for name in (METADATA, TRIALS):
        if not (out / name).is_file():
            raise OutputError("sweep", str(out), f"must be a sweep's folder, with {name} in it")


def read_trials(out: Path) -> pa.Table:
    """Read the row of every ended trial, in the order of their numbers."""
    # The log first: a sweep that runs may meanwhile move its rows into the table.
    logged = _read_row_log(out / ROW_LOG)
    trials = _read_table(out / TRIALS)
    trials = trials.rename_columns([RENAMED_COLUMNS.get(name, name) for name in trials.column_names])
    if not logged:
        return trials
    rows = {row["number"]: row for row in [*trials.to_pylist(), *logged]}
    return build_table(TRIAL_COLUMNS, [rows[number] for number in sorted(rows)])


def complete_trials(out: Path) -> None:
    """Bring `trials.parquet` up to date after a kill; leave it alone while a process runs the sweep."""
    with suppress(OutputError):
        if (out / ROW_LOG).exists():
            with lock_output_dir(out):
                _write_complete_table(read_trials(out), out)


def read_curves(out: Path) -> pa.Table:
    """Read all of `curves/` as one table, by job and validation."""
    files = sorted((out / CURVES).glob("*.parquet"), key=lambda path: int(path.stem))
    if not files:
        return build_table(CURVE_COLUMNS, [])
    return pa.concat_tables([_read_table(file) for file in files], promote_options="default")


def write_answers(out: Path, number: int, answers: dict[str, Any]) -> None:
    """Write a trial's answers (see `sweeps.execution.trial`) into the sweep's folder."""
    (out / ANSWERS).mkdir(exist_ok=True)
    text = json.dumps(answers, separators=(",", ":")) + "\n"
    write_text_atomically(out / ANSWERS / f"{number}.json", text)


def read_answers(out: Path) -> dict[int, dict[str, Any]]:
    """Read all answers, by job number; there are none where models do not answer by segments."""
    files = sorted((out / ANSWERS).glob("*.json"), key=lambda path: int(path.stem))
    return {int(path.stem): json.loads(path.read_text(encoding="utf-8")) for path in files}


def write_traceback(out: Path, number: int, text: str) -> None:
    """Write a trial's traceback into the sweep's folder."""
    (out / ERRORS).mkdir(exist_ok=True)
    write_text_atomically(out / ERRORS / f"{number}.txt", text)


def find_tracebacks(out: Path) -> dict[int, str]:
    """Return the path of each traceback, relative to the sweep's folder, by job number."""
    return {int(path.stem): f"{ERRORS}/{path.name}" for path in (out / ERRORS).glob("*.txt")}


def get_space_values(job: Job, names: Iterable[str]) -> dict[str, Any]:
    """Return the job's values by their names in the space; None for a name that a preset does not have."""
    return {name: _get_value(job, name) for name in names}


def format_short(value: Any) -> str:
    """Format a value for a line of text.

    Example:
        >>> format_short(0.000948683), format_short(128)
        ('0.0009487', '128')
    """
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def encode_architecture(run: RunConfig) -> str:
    """Return a text that is equal for two runs exactly when they train the same architecture."""
    return json.dumps({"family": run.family, **run.model.architecture}, sort_keys=True)


def _get_value(job: Job, name: str) -> Any:
    if name in job.params:
        return job.params[name]
    try:
        section, _, field = qualify(name, job.run.family, job.run.task.name).partition(".")
    except UnknownNameError:
        return None
    return getattr(getattr(job.run, section), field) if field else getattr(job.run, section)


def _find_resumption(job: Job) -> int | None:
    return job.resumed_from[-1].index if job.resumed_from else None


def _get_costs(validation: Validation) -> dict[str, Any]:
    return {name: getattr(validation, name) for name in ("train_flops", "train_seconds", "eval_seconds")}


def _read_row_log(path: Path) -> list[dict[str, Any]]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    # A killed writer leaves a last line without its end.
    rows = [json.loads(line) for line in content[: content.rfind(b"\n") + 1].splitlines()]
    return [{**row, "started_at": datetime.fromisoformat(row["started_at"])} for row in rows]


def _read_table(file: Path) -> pa.Table:
    # `read_table` looks for a data set around the file: it takes five times as long and imports pandas.
    content = pa.BufferReader(file.read_bytes())
    return pq.ParquetFile(content, pre_buffer=False).read(use_threads=False)


def _write_table(content: pa.Table, path: Path) -> None:
    write_atomically(path, lambda temporary: pq.write_table(content, temporary, compression="zstd"))


def _write_complete_table(content: pa.Table, out: Path) -> None:
    """Write a table that holds all rows, then remove the log: killed between the two, rows stand in both."""
    _write_table(content, out / TRIALS)
    (out / ROW_LOG).unlink(missing_ok=True)
