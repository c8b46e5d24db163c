"""Columns of a sweep's two tables: names, types, units and meanings, which the files themselves carry.

`trials.parquet` holds a row per trial, `curves/<number>.parquet` a row per validation. Besides the columns listed
here there are `p.<name>` (each searched or derived value of the space), `o.<name>` (each objective, if there are
several) and the metrics (`train/...`, `valid/...`, `test/...`). A missing value is null, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pyarrow as pa

SCHEMA_VERSION = 2
PARAMETER_PREFIX = "p."
OBJECTIVE_PREFIX = "o."
METRIC_PREFIXES = ("train/", "valid/", "test/")
RENAMED_COLUMNS = {"fullness": "budget_used", "revived_at": "resumed_from"}
"""Columns of schema version 1, and their names since."""

INT, FLOAT, TEXT, BOOL = pa.int64(), pa.float64(), pa.string(), pa.bool_()

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """A column, whose unit and meaning are written into the file."""

    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""

    @property
    def field(self) -> pa.Field:
        return pa.field(self.name, self.type, metadata={"unit": self.unit, "meaning": self.meaning})


TRIAL_COLUMNS = (
    Column("number", INT, "job number, unique in the sweep: baselines, then search, then confirmations"),
    Column("kind", TEXT, "search, baseline, random or confirm"),
    Column("arm", TEXT, "its configuration: `trial <Optuna number>`, a preset's name or `random search`"),
    Column("status", TEXT, "completed, pruned, failed or infeasible"),
    Column("error", TEXT, "reason of a failure"),
    Column("observed_bytes", INT, "memory held when the trial ran out of it, where known", "bytes"),
    Column("predicted_bytes", INT, "weights, gradients, optimizer and activations, counted", "bytes"),
    Column("trial", INT, "number in the Optuna study, its last one if resumed; null outside the search"),
    Column("resumed_from", INT, "validation at which it was pruned and later resumed; null if it was not"),
    Column("params", INT, "trainable plus puzzle-embedding parameters", "parameters"),
    Column("trainable_params", INT, "parameters of the dense optimizer", "parameters"),
    Column("puzzle_embedding_params", INT, "parameters of the sparse optimizer", "parameters"),
    Column("budget_used", FLOAT, "params over the budget; null without a budget", "fraction"),
    Column("inner_over_width", FLOAT, "inner width of the feed-forward layers over model width", "ratio"),
    Column("flops_per_step", INT, "training FLOPs of an optimizer step; at most, if they vary", "FLOPs"),
    Column("steps", INT, "optimizer steps made, at the last validation", "steps"),
    Column("steps_planned", INT, "optimizer steps of the whole run; at least, if their cost varies", "steps"),
    Column("train_flops", INT, "training FLOPs spent, at the last validation", "FLOPs"),
    Column("eval_flops", INT, "FLOPs spent in evaluations; at most, if they vary", "FLOPs"),
    Column("train_seconds", FLOAT, "in training steps, at the last validation", "s"),
    Column("eval_seconds", FLOAT, "in evaluations, at the last validation", "s"),
    Column("seconds", FLOAT, "wall time as the driver saw it, without breaks of the sweep", "s"),
    Column("objective", FLOAT, "the search's objective after these validations; compare completed rows"),
    Column("seed", INT, "initial weights, batches and exploration"),
    Column("architecture", TEXT, "equal exactly when two rows have one architecture (JSON)"),
    Column("config", TEXT, "the resolved run configuration (JSON); it reproduces the run"),
    Column("commit", TEXT, "git commit of the code; null outside a repository"),
    Column("dirty", BOOL, "whether the code differed from that commit"),
    Column("versions", TEXT, "of python and packages (JSON)"),
    Column("hardware", TEXT, "of the driver's machine (JSON)"),
    Column("space_hash", TEXT, "SHA-256 of the search space"),
    Column("data_fingerprint", TEXT, "of the prepared data"),
    Column("started_at", pa.timestamp("us", tz="UTC"), "when the trial reached a worker", "UTC"),
)

CURVE_COLUMNS = (
    Column("number", INT, "job number, as in trials.parquet"),
    Column("index", INT, "validation of the run, counting from 1"),
    Column("step", INT, "optimizer steps made", "steps"),
    Column(
        "fraction", FLOAT, "of the run: of its steps, or of its FLOPs if a step's cost varies", "fraction"
    ),
    Column("train_flops", INT, "training FLOPs spent so far", "FLOPs"),
    Column("train_seconds", FLOAT, "in training steps so far", "s"),
    Column("eval_seconds", FLOAT, "in evaluations so far", "s"),
    Column("objective", FLOAT, "the search's objective after the validations so far"),
)

_METRIC_UNITS = {
    "accuracy": "fraction",
    "ponder_loss": "fraction",  # of a layer's steps
    "loss": "nats",
    "bits_per_byte": "bits per byte",
    "perplexity": "tokens",  # so many equally likely ones
    "steps": "steps",
    "latency": "s",
}
"""Units by the end of a metric's name; the first that fits holds."""


def build_table(columns: Sequence[Column], rows: Sequence[Row]) -> pa.Table:
    """Build a table of the given columns, then parameters, objectives and metrics, each with unit and meaning.

    Args:
        columns: those that every row has.
        rows: values by column name; a missing key, None and NaN become null.
    """
    known = {column.name for column in columns}
    extra = [name for name in dict.fromkeys(chain.from_iterable(rows)) if name not in known]
    parameters = [name for name in extra if name.startswith(PARAMETER_PREFIX)]
    objectives, metrics = select_objectives(extra), sorted(select_metrics(extra), key=_rank_metric)
    unknown = set(extra) - {*parameters, *objectives, *metrics}
    assert not unknown, f"no column for {sorted(unknown)}"
    types = {name: _find_type(row.get(name) for row in rows) for name in parameters}
    fields = [
        *(column.field for column in columns),
        *(Column(name, types[name], "searched or derived value of the space").field for name in parameters),
        *(Column(name, FLOAT, "objective after the validations made").field for name in objectives),
        *(Column(name, FLOAT, "", get_metric_unit(name)).field for name in metrics),
    ]
    texts = [name for name in parameters if types[name] == TEXT]
    plain = [{**row, **{name: str(row[name]) for name in texts if row.get(name) is not None}} for row in rows]
    # One call for all rows, of which there may be thousands.
    content = pa.array(plain, pa.struct(fields), from_pandas=True)
    schema = pa.schema(fields, metadata={"schema_version": str(SCHEMA_VERSION)})
    return pa.Table.from_arrays(content.flatten(), schema=schema)


def get_metric_unit(name: str) -> str:
    """Return the unit of a metric; "" for a name that is no model's metric.

    Example:
        >>> get_metric_unit("valid/blank_accuracy"), get_metric_unit("train/lm_loss")
        ('fraction', 'nats')
    """
    return next((unit for end, unit in _METRIC_UNITS.items() if name.endswith(end)), "")


def select_metrics(names: Iterable[str]) -> list[str]:
    """Return the names of metric columns."""
    return [name for name in names if name.startswith(METRIC_PREFIXES)]


def select_objectives(names: Iterable[str]) -> list[str]:
    """Return the names of objective columns; there are none with a single objective."""
    return [name for name in names if name.startswith(OBJECTIVE_PREFIX)]


def _rank_metric(name: str) -> tuple[int, str]:
    return METRIC_PREFIXES.index(f"{name.partition('/')[0]}/"), name


def _find_type(values: Iterable[Any]) -> pa.DataType:
    """Return the type of a parameter's column; values of several kinds become text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return BOOL
    if kinds == {int}:
        return INT
    return FLOAT if kinds and kinds <= {int, float} else TEXT
