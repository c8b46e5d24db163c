"""The columns of a sweep's two tables: names, types, units and meanings. Each is written into the files.

`trials.parquet` holds a row per job, `curves/<number>.parquet` a row per report. Beside the columns named
here come `p.<name>` (one per searched or derived value of the space), `o.<name>` (one per objective, of a sweep
of several) and the metrics (`train/...`, `valid/...`, `test/...`). A missing value is null, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pyarrow as pa

SCHEMA_VERSION = 1
PARAMETER_PREFIX = "p."
OBJECTIVE_PREFIX = "o."
METRIC_PREFIXES = ("train/", "valid/", "test/")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""

    @property
    def field(self) -> pa.Field:
        return pa.field(self.name, self.type, metadata={"unit": self.unit, "meaning": self.meaning})


TRIAL_COLUMNS = (
    Column(
        "number",
        pa.int64(),
        "job number, unique in the sweep: baselines first, then search, then confirmations",
    ),
    Column("kind", pa.string(), "search, baseline, random or confirm"),
    Column(
        "arm",
        pa.string(),
        "the configuration it stands for: `trial <Optuna number>`, a preset's name or `random search`",
    ),
    Column("status", pa.string(), "completed, pruned or failed"),
    Column("error", pa.string(), "reason of a failure"),
    Column("observed_bytes", pa.int64(), "memory held when a job ran out of it, where known", "bytes"),
    Column("predicted_bytes", pa.int64(), "weights, gradients, optimizer and activations, counted", "bytes"),
    Column(
        "trial",
        pa.int64(),
        "number in the Optuna study, of a revived trial that of the one added for it; null outside the search",
    ),
    Column(
        "revived_at",
        pa.int64(),
        "report at which it was pruned and from which it went on, of a revived trial; else null",
    ),
    Column("params", pa.int64(), "trainable plus puzzle-embedding parameters", "parameters"),
    Column("trainable_params", pa.int64(), "parameters of the dense optimizer", "parameters"),
    Column("puzzle_embedding_params", pa.int64(), "parameters of the sparse optimizer", "parameters"),
    Column("fullness", pa.float64(), "params over the budget; null without a budget", "fraction"),
    Column(
        "inner_over_width",
        pa.float64(),
        "inner width of the feed-forward layers over the model's width",
        "ratio",
    ),
    Column(
        "flops_per_step",
        pa.int64(),
        "training FLOPs of one optimizer step; the most, where the data decide",
        "FLOPs",
    ),
    Column("steps", pa.int64(), "optimizer steps made, at the last report", "steps"),
    Column(
        "steps_planned",
        pa.int64(),
        "optimizer steps of the whole run; the fewest, where the data decide what a step costs",
        "steps",
    ),
    Column("train_flops", pa.int64(), "training FLOPs spent, at the last report", "FLOPs"),
    Column("eval_flops", pa.int64(), "FLOPs spent in evaluations; the most, where the data decide", "FLOPs"),
    Column("train_seconds", pa.float64(), "inside training steps, at the last report", "s"),
    Column("eval_seconds", pa.float64(), "inside evaluations, at the last report", "s"),
    Column(
        "seconds",
        pa.float64(),
        "wall time from start to end, as the driver saw it; of a job that went on "
        "after its sweep was stopped, since then and what it had counted before",
        "s",
    ),
    Column("objective", pa.float64(), "the search's objective over the reports made; compare completed rows"),
    Column("seed", pa.int64(), "initial weights, batches and exploration"),
    Column("architecture", pa.string(), "equal exactly when two rows are one architecture (JSON)"),
    Column("config", pa.string(), "the resolved run configuration (JSON); it reproduces the run"),
    Column("commit", pa.string(), "git commit of the code; null outside a repository"),
    Column("dirty", pa.bool_(), "whether the code differed from that commit"),
    Column("versions", pa.string(), "of python and packages (JSON)"),
    Column("hardware", pa.string(), "of the driver's machine (JSON)"),
    Column("space_hash", pa.string(), "SHA-256 of the search space"),
    Column("data_fingerprint", pa.string(), "of the prepared data"),
    Column("started_at", pa.timestamp("us", tz="UTC"), "when the job was handed to a slot", "UTC"),
)

CURVE_COLUMNS = (
    Column("number", pa.int64(), "job number, as in trials.parquet"),
    Column("index", pa.int64(), "report of the run, counting from 1"),
    Column("step", pa.int64(), "optimizer steps made", "steps"),
    Column(
        "fraction",
        pa.float64(),
        "of the run: steps, or FLOPs where the data decide what a step costs",
        "fraction",
    ),
    Column("train_flops", pa.int64(), "training FLOPs spent so far", "FLOPs"),
    Column("train_seconds", pa.float64(), "inside training steps so far", "s"),
    Column("eval_seconds", pa.float64(), "inside evaluations so far", "s"),
    Column("objective", pa.float64(), "the search's objective over the reports so far"),
)


def build_table(columns: Sequence[Column], rows: Sequence[Row]) -> pa.Table:
    """Rows as a table: the given columns, then parameters, objectives and metrics, each with unit and meaning.

    Args:
        columns: those that every row has.
        rows: values by column name; a missing key, None and NaN are null.
    """
    known = {column.name for column in columns}
    extra = [name for name in dict.fromkeys(chain.from_iterable(rows)) if name not in known]
    parameters = [name for name in extra if name.startswith(PARAMETER_PREFIX)]
    objectives = select_objectives(extra)
    metrics = sorted((name for name in extra if name.startswith(METRIC_PREFIXES)), key=_metric_order)
    unknown = set(extra) - set(parameters) - set(objectives) - set(metrics)
    assert not unknown, f"no column for {sorted(unknown)}"
    searched = [_parameter_field(name, [row.get(name) for row in rows]) for name in parameters]
    fields = [column.field for column in columns] + searched
    fields += [Column(name, pa.float64(), "objective after the reports made").field for name in objectives]
    fields += [Column(name, pa.float64(), "", get_metric_unit(name)).field for name in metrics]
    texts = [field.name for field in searched if field.type == pa.string()]
    plain = [{**row, **{name: _text(row.get(name)) for name in texts}} for row in rows]
    # In one call: `trials.parquet` is made anew of all rows, thousands perhaps, as each job ends.
    content = pa.array(plain, pa.struct(fields), from_pandas=True)
    schema = pa.schema(fields, metadata={"schema_version": str(SCHEMA_VERSION)})
    return pa.Table.from_arrays(content.flatten(), schema=schema)


def get_metric_unit(name: str) -> str:
    """The unit of a metric by its name; "" of what is no metric of a model.

    A ponder loss is a share of a layer's steps, a perplexity so many equally likely tokens.
    """
    units = {
        "accuracy": "fraction",
        "ponder_loss": "fraction",
        "loss": "nats",
        "bits_per_byte": "bits per byte",
        "perplexity": "tokens",
        "steps": "steps",
        "latency": "s",
    }
    return next((unit for end, unit in units.items() if name.endswith(end)), "")


def select_metrics(trials: pa.Table) -> list[str]:
    """Names of the metric columns of a table."""
    return [name for name in trials.column_names if name.startswith(METRIC_PREFIXES)]


def select_objectives(names: Iterable[str]) -> list[str]:
    """Those of `names` that are columns of objectives; none where there is one objective."""
    return [name for name in names if name.startswith(OBJECTIVE_PREFIX)]


def _metric_order(name: str) -> tuple[int, str]:
    return next(i for i, prefix in enumerate(METRIC_PREFIXES) if name.startswith(prefix)), name


def _parameter_field(name: str, values: Iterable[Any]) -> pa.Field:
    """Typed by what the rows hold; values of several kinds become text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        kind = pa.bool_()
    elif kinds == {int}:
        kind = pa.int64()
    elif kinds and kinds <= {int, float}:
        kind = pa.float64()
    else:
        kind = pa.string()
    return Column(name, kind, "searched or derived value of the space").field


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
