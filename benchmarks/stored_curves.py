"""Stored learning curves of real trials, which the simulator looks up instead of training."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

import pyarrow.parquet as pq

from benchmarks.simulator import Train
from sweeps.events import Job, Validation
from sweeps.space.candidates import Candidates

Cell = tuple[float, ...]
"""The searched values under which a configuration is stored, rounded: a float that was written out is found again."""

SPENT = ("index", "step", "train_flops", "train_seconds", "eval_seconds")
"""Columns of the file, besides the searched values, `seed` and the metrics."""


class StoredCurves:
    """Validations by configuration and seed.

    Args:
        path: a Parquet file of a row per report; every configuration has the same number of whole runs.
        candidates: the space that they fill; its searched values are numbers.
    """

    def __init__(self, path: Path, candidates: Candidates) -> None:
        self._candidates = candidates
        self._by_key: dict[str, Cell] = {}
        self._stored: dict[Cell, Cell] = {}
        """The cell of each point met so far: points may differ and be one trial."""
        found: dict[Cell, dict[int, list[Validation]]] = defaultdict(lambda: defaultdict(list))
        for row in pq.read_table(path).sort_by("index").to_pylist():
            metrics = {name: value for name, value in row.items() if name.startswith("valid/")}
            report = Validation(**{name: row[name] for name in SPENT}, metrics=metrics)
            if (cell := self._round_values(row)) not in found:
                self._by_key[self._find_key(row)] = self._stored[cell] = cell
            found[cell][row["seed"]].append(report)
        self.runs: dict[Cell, list[list[Validation]]] = {
            cell: [reports for _, reports in sorted(seeds.items())] for cell, seeds in sorted(found.items())
        }
        """The validations of each run of each configuration."""

    def find_cell(self, params: Mapping[str, Any]) -> Cell:
        """Return where the configuration with these searched values, among others, is stored."""
        values = self._round_values(params)
        if values not in self._stored:
            self._stored[values] = self._by_key[self._find_key(params)]
        return self._stored[values]

    def choose_run(self, cell: Cell, seed: int) -> int:
        """Return which of a configuration's runs a sweep of that seed sees."""
        return random.Random(f"{seed} {cell}").randrange(len(self.runs[cell]))

    def build_lookup(self, seed: int) -> Train:
        """Return a function that looks up a job's validations, for a sweep of that seed."""

        def look_up(job: Job, index: int) -> Validation:
            cell = self.find_cell(job.params)
            return self.runs[cell][self.choose_run(cell, seed)][index - 1]

        return look_up

    @cached_property
    def run_flops(self) -> int:
        """Training FLOPs of the longest run."""
        return max(reports[-1].train_flops for seeds in self.runs.values() for reports in seeds)

    def compute_mean_end(self, cell: Cell, metric: str, without: int | None = None) -> float:
        """Return a configuration's last value, the mean of its runs, of which one may be left out."""
        ends = [reports[-1].metrics[metric] for i, reports in enumerate(self.runs[cell]) if i != without]
        return fmean(end for end in ends if end is not None)

    @property
    def _searched(self) -> list[str]:
        return list(self._candidates.space.parameters)

    def _round_values(self, params: Mapping[str, Any]) -> Cell:
        return tuple(round(float(params[name]), 6) for name in self._searched)

    def _find_key(self, params: Mapping[str, Any]) -> str:
        candidate = self._candidates.candidate({name: params[name] for name in self._searched})
        assert candidate is not None, f"not in the space: {params}"
        return candidate.key
