"""Trials tables with nothing but confirmation runs, for the comparison."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from sweeps.analysis.comparison import compare
from sweeps.analysis.statistics import TEST_NAME
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.results.metadata import Provenance, SweepMetadata
from sweeps.results.schema import TRIAL_COLUMNS, build_table

BUDGET = 1000


def metadata(**changes: Any) -> SweepMetadata:
    """A setting whose test split has 1,000 puzzles and whose budget is `BUDGET`."""
    space = {"name": "s", "question": "?", "parameters": ["H_layers", "lr"], "derived": []}
    space |= {"space_hash": "", "space_counts": {}, "max_params": BUDGET, "min_params": None, "presets": []}
    task = {
        "task": "sudoku6",
        "supports_verdict": True,
        "data_fingerprint": "",
        "num_valid": 1000,
        "num_test": 1000,
    }
    run = {"command": [], "objective": "valid/blank_accuracy", "test_name": TEST_NAME, "started_at": ""}
    provenance = Provenance(commit=None, dirty=None, versions={}, hardware={})
    values: dict[str, Any] = {**space, **task, **run, "provenance": provenance}
    return SweepMetadata(**(values | changes))


def trials(
    arms: Mapping[str, Sequence[float | None]],
    presets: Sequence[str] = ("preset",),
    exact: Mapping[str, Sequence[float]] | None = None,
    **changes: Mapping[str, Any],
) -> pa.Table:
    """A confirmation run for every score, which is the objective and both test metrics; None is a failed run.

    Args:
        arms: scores by arm, one per seed.
        presets: which arms are baselines.
        exact: scores in exact accuracy, where they are others.
        changes: further columns, by arm: `params={"preset": 900}`.
    """
    rows: list[dict[str, Any]] = [{"kind": "baseline", "arm": name} for name in presets if name in arms]
    for name, scores in arms.items():
        for seed, score in enumerate(scores):
            row = {"kind": "confirm", "arm": name, "seed": seed, "params": BUDGET, "train_flops": 7}
            row |= {"p.lr": 1e-3, "p.H_layers": 1, "architecture": name, "config": json.dumps({"arm": name})}
            if score is None:
                row |= {"status": "failed", "error": "Diverged: loss is nan"}
            else:
                other = score if exact is None else exact[name][seed]
                row |= {"status": "completed", "objective": score, "test/blank_accuracy": score}
                row |= {"test/exact_accuracy": other, "test/loss": 1 - score}
            rows.append(row | {column: given[name] for column, given in changes.items() if name in given})
    numbered = [row | {"number": number} for number, row in enumerate(rows)]
    return build_table(TRIAL_COLUMNS, numbered)


def build_folder(table: pa.Table, **changes: Any) -> SweepFolder:
    """Return a sweep's folder with nothing but this table; `changes` are of its metadata."""
    given = metadata(**changes)
    return SweepFolder(metadata=given, trials=table.to_pylist(), curves={}, comparisons=compare(table, given))
