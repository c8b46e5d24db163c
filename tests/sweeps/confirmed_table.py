"""Trials tables with nothing but confirmation runs, for the comparison."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from sweeps.analysis.statistics import TEST_NAME
from sweeps.results.metadata import SweepMetadata
from sweeps.results.provenance import Provenance
from sweeps.results.schema import TRIAL_COLUMNS, build_table

BUDGET = 1000


def metadata(**changes: Any) -> SweepMetadata:
    """A setting whose test split has 1,000 puzzles and whose budget is `BUDGET`."""
    values: dict[str, Any] = {
        "name": "s", "question": "?", "command": [], "objective": "valid/blank_accuracy",
        "test_name": TEST_NAME, "task": "sudoku6", "supports_verdict": True, "data_fingerprint": "",
        "num_valid": 1000, "num_test": 1000, "max_params": BUDGET, "min_params": None,
        "parameters": ["H_layers", "lr"], "derived": [], "space_hash": "", "space_counts": {}, "presets": [],
        "started_at": "", "provenance": Provenance(commit=None, dirty=None, versions={}, hardware={}),
    }  # fmt: skip
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
            row = {"kind": "confirm", "arm": name, "seed": seed, "params": BUDGET, "train_flops": 7,
                   "p.lr": 1e-3, "p.H_layers": 1, "architecture": name,
                   "config": json.dumps({"arm": name})}  # fmt: skip
            if score is None:
                row |= {"status": "failed", "error": "Diverged: loss is nan"}
            else:
                other = score if exact is None else exact[name][seed]
                row |= {"status": "completed", "objective": score, "test/blank_accuracy": score,
                        "test/exact_accuracy": other, "test/loss": 1 - score}  # fmt: skip
            rows.append(row | {column: given[name] for column, given in changes.items() if name in given})
    numbered = [row | {"number": number} for number, row in enumerate(rows)]
    return build_table(TRIAL_COLUMNS, numbered)
