"""The tables that a sweep leaves, read by every reader that people use."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas
import polars
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from hrm.config.run_config import RunConfig
from hrm.models.registry import get_family
from sweeps.events import Job
from sweeps.results import tables
from sweeps.results.metadata import read_metadata
from sweeps.results.output_dir import lock_output_dir
from sweeps.results.schema import RENAMED_COLUMNS, TRIAL_COLUMNS, build_table
from sweeps.results.tables import (
    ROW_LOG,
    ROWS_PER_LOGGED,
    TRIALS,
    TableWriter,
    complete_trials,
    encode_architecture,
    read_curves,
    read_trials,
)
from tests.sweeps.confirmed_table import metadata
from tests.sweeps.small_jobs import ended_trial, small_job
from tests.sweeps.synthetic_sweep import plausible, run_sweep

DIVERGED = "RuntimeError: loss is nan"


def _some_fail(job: Job, fraction: float) -> float:
    if job.kind == "search" and (job.number == 5 or (job.number == 7 and fraction > 0.25)):
        raise RuntimeError("loss is nan")
    return plausible(job, fraction)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_sweep(tmp_path_factory.mktemp("sweep"), _some_fail)


def test_a_row_per_job(out: Path) -> None:
    trials = read_trials(out)
    assert trials["number"].to_pylist() == list(range(len(trials)))
    assert pc.count_distinct(trials["kind"]).as_py() == 3
    assert set(trials["status"].to_pylist()) == {"completed", "pruned", "failed"}
    assert {column.name for column in TRIAL_COLUMNS} < set(trials.column_names)


def test_pandas_polars_and_duckdb_read_the_same(out: Path) -> None:
    trials, file = read_trials(out), out / "trials.parquet"
    names = ["number", "status", "params", "objective", "test/exact_accuracy", "p.H_layers", "p.lr"]
    wanted = trials.select(names).to_pylist()
    assert polars.read_parquet(file).select(names).to_dicts() == wanted
    columns = ", ".join(f'"{name}"' for name in names)
    rows = duckdb.sql(f"select {columns} from '{file}' order by number").fetchall()
    assert [dict(zip(names, row)) for row in rows] == wanted
    frame = pandas.read_parquet(file)
    assert frame["params"].tolist() == trials["params"].to_pylist()
    assert int(frame["test/exact_accuracy"].isna().sum()) == trials["test/exact_accuracy"].null_count
    tested = duckdb.sql(f"""select count("test/exact_accuracy") from '{out}/curves/*.parquet'""").fetchall()
    assert tested == [(trials.num_rows - trials["test/exact_accuracy"].null_count,)]
    assert polars.read_parquet(out / "curves" / "*.parquet").height == len(read_curves(out))
    one = read_curves(out).filter(pc.field("number") == 6).select(["index", "step", "objective"]).to_pylist()
    assert (
        polars.read_parquet(out / "curves" / "6.parquet").select(["index", "step", "objective"]).to_dicts()
        == one
    )


def test_failed_rows_keep_their_reason_and_what_they_had_spent(out: Path) -> None:
    failed = {row["number"]: row for row in read_trials(out).to_pylist() if row["status"] == "failed"}
    assert set(failed) == {5, 7} and {row["error"] for row in failed.values()} == {DIVERGED}
    kept = {path.name: path.read_text() for path in (out / "errors").iterdir()}
    assert set(kept) == {"5.txt", "7.txt"}
    for text in kept.values():
        assert "in _some_fail" in text and text.endswith(f"{DIVERGED}\n")
    at_once, later = failed[5], failed[7]
    assert at_once["objective"] is None and at_once["train_flops"] is None and at_once["steps"] is None
    assert later["steps"] > 0 and later["train_flops"] == later["steps"] * later["flops_per_step"]
    assert later["valid/blank_accuracy"] is not None and later["params"] > 0


def test_the_test_split_belongs_to_confirmations(out: Path) -> None:
    for row in read_trials(out).to_pylist():
        assert (row["test/exact_accuracy"] is not None) == (row["kind"] == "confirm")
        assert row["train/lm_loss"] is None


def test_only_search_trials_have_optuna_numbers(out: Path) -> None:
    rows = read_trials(out).to_pylist()
    for row in rows:
        assert (row["trial"] is not None) == (row["kind"] == "search")
        if row["kind"] == "search":
            assert row["arm"] == f"trial {row['trial']}"


def test_every_row_reproduces_itself(out: Path) -> None:
    """The config builds the very run: its counts, its architecture, its seed."""
    metadata = read_metadata(out)
    for row in read_trials(out).to_pylist():
        run = RunConfig.from_dict(json.loads(row["config"]))
        counts = get_family(run.family).count(run.model, run.train.batch_size)
        assert counts.params == row["params"] == row["trainable_params"] + row["puzzle_embedding_params"]
        assert counts.flops_per_step == row["flops_per_step"]
        assert encode_architecture(run) == row["architecture"] and run.seed == row["seed"]
        assert run.model.hidden_size == row["p.hidden_size"] and run.train.lr == row["p.lr"]
        assert run.model.H_layers == row["p.H_layers"], "a preset's row has its own layers"
        assert row["budget_used"] == row["params"] / metadata.max_params <= 1
        assert row["inner_over_width"] == run.model.inner_size / run.model.hidden_size
        assert row["started_at"].tzinfo is not None and row["space_hash"] == metadata.space_hash
        assert json.loads(row["versions"])["python"] and json.loads(row["hardware"])["cpu"]


def test_evaluation_flops_count_every_puzzle_once_a_report(out: Path) -> None:
    curves = read_curves(out).group_by("number").aggregate([("index", "count")])
    reports = dict(zip(curves["number"].to_pylist(), curves["index_count"].to_pylist()))
    for row in read_trials(out).to_pylist():
        if row["number"] in reports:
            run = RunConfig.from_dict(json.loads(row["config"]))
            one = get_family(run.family).count(run.model, 1).eval_flops_per_batch
            test = 1000 if row["kind"] == "confirm" else 0
            assert row["eval_flops"] == one * (400 * reports[row["number"]] + test)


def test_curves_end_where_their_rows_do(out: Path) -> None:
    rows = {row["number"]: row for row in read_trials(out).to_pylist()}
    last = {point["number"]: point for point in read_curves(out).to_pylist()}
    assert set(last) == set(rows) - {5}, "a job that never reported has no curve"
    for number, point in last.items():
        for name in ("objective", "train_flops", "train_seconds", "eval_seconds", "valid/blank_accuracy"):
            assert point[name] == rows[number][name]
        assert (point["fraction"] == 1) == (rows[number]["status"] == "completed")


def test_the_folder_is_readable_before_any_job_has_ended(tmp_path: Path) -> None:
    def stop(job: Job, fraction: float) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_sweep(tmp_path, stop)
    assert len(read_trials(tmp_path)) == 0 and len(read_curves(tmp_path)) == 0


def run_ends(out: Path, ends: int, after_each: Callable[[TableWriter], None] = lambda _: None) -> TableWriter:
    """Write the rows of so many trials that end one after the other, as a sweep does until it is killed."""
    writer = TableWriter(out, metadata(num_valid=16, num_test=16), lambda number: number)
    for number in range(ends):
        trial = ended_trial(small_job(number))
        writer.on_start(trial)
        writer.on_end(trial)
        after_each(writer)
    return writer


def test_an_end_writes_as_many_rows_however_many_trials_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    logged: list[int] = []

    def count(columns: tuple, rows: list) -> pa.Table:
        written.append(len(rows) if columns is TRIAL_COLUMNS else 0)
        return build_table(columns, rows)

    def measure(_: TableWriter) -> None:
        log = tmp_path / ROW_LOG
        logged.append(log.read_bytes().count(b"\n") if log.exists() else 0)

    monkeypatch.setattr(tables, "build_table", count)
    run_ends(tmp_path, 200, measure)
    ends = len(logged)
    assert ends == 200
    assert sum(written) <= (ROWS_PER_LOGGED + 1) * ends, "of all rows at each end it would be 20,000"
    assert all(rows * ROWS_PER_LOGGED <= end for end, rows in enumerate(logged, 1)), (
        "one in 20 is not in the table"
    )
    assert {after - before for before, after in itertools.pairwise(logged) if after} == {1}


def test_rows_in_the_log_are_read_like_those_of_the_table(tmp_path: Path) -> None:
    writer = run_ends(tmp_path, 60)
    assert pq.read_table(tmp_path / TRIALS).num_rows == 58 and (tmp_path / ROW_LOG).exists()
    running = read_trials(tmp_path)
    writer.close()
    assert running.num_rows == 60 and not (tmp_path / ROW_LOG).exists()
    assert running.schema.equals(pq.read_table(tmp_path / TRIALS).schema, check_metadata=True)
    assert running.equals(read_trials(tmp_path)) and running.equals(pq.read_table(tmp_path / TRIALS))


def test_a_kill_between_table_and_log_and_half_a_line_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path, missing_ok: bool = False) -> None:
        raise KeyboardInterrupt

    run_ends(tmp_path, 60)
    rows = read_trials(tmp_path)
    with (tmp_path / ROW_LOG).open("ab") as file:
        file.write(b'{"number":60,"kind":"sea')
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "unlink", killed)
        run_ends(tmp_path, 0)
    assert pq.read_table(tmp_path / TRIALS).num_rows == 60 and (tmp_path / ROW_LOG).exists()
    assert read_trials(tmp_path).equals(rows)
    run_ends(tmp_path, 0)
    assert read_trials(tmp_path).equals(rows) and not (tmp_path / ROW_LOG).exists()


def test_the_table_is_completed_after_a_kill_and_left_alone_while_the_sweep_runs(tmp_path: Path) -> None:
    run_ends(tmp_path, 60)
    with lock_output_dir(tmp_path):
        complete_trials(tmp_path)
    assert pq.read_table(tmp_path / TRIALS).num_rows == 58
    complete_trials(tmp_path)
    assert pq.read_table(tmp_path / TRIALS).num_rows == 60 and not (tmp_path / ROW_LOG).exists()
    complete_trials(tmp_path)


def test_columns_of_older_folders_are_read_by_their_names_of_today(tmp_path: Path) -> None:
    run_ends(tmp_path, 3).close()
    rows = read_trials(tmp_path)
    old = {new: old for old, new in RENAMED_COLUMNS.items()}
    pq.write_table(
        rows.rename_columns([old.get(name, name) for name in rows.column_names]), tmp_path / TRIALS
    )
    assert "fullness" in pq.read_table(tmp_path / TRIALS).column_names
    assert read_trials(tmp_path).equals(rows)
    run_ends(tmp_path, 0)
    assert pq.read_table(tmp_path / TRIALS).equals(rows), "a sweep that is resumed writes today's names"


KILLED = """
import sys, time
from pathlib import Path
from tests.sweeps.synthetic_sweep import plausible, run_sweep

def slow(job, fraction):
    time.sleep(0.01)
    return plausible(job, fraction)

run_sweep(Path(sys.argv[1]), slow, num_trials=200)
"""


def test_kill_9_loses_no_ended_job(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    environment = os.environ | {"PYTHONPATH": str(root)}
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], cwd=root, env=environment)
    deadline = time.monotonic() + 60
    while len(list((tmp_path / "curves").glob("*.parquet"))) < 9 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    rows = read_trials(tmp_path).to_pylist()
    assert len(rows) >= 8
    curves = set(read_curves(tmp_path)["number"].to_pylist())
    missing = curves - {row["number"] for row in rows}
    assert len(missing) <= 1, "a curve comes first, so at most the job that was just ending lacks its row"
    assert {row["number"] for row in rows} <= curves
