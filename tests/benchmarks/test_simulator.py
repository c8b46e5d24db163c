"""A sweep on the fake clock is the sweep that Ray runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.replays import write_curves
from benchmarks.simulator import Simulator
from benchmarks.stored_curves import StoredCurves
from sweeps.cli.resume import read_resumed_config
from sweeps.results.tables import read_trials
from sweeps.scheduler.scheduler import Scheduler
from sweeps.scheduler.trial_runner import TrialRunner
from sweeps.space.candidates import Candidates
from tests.sweeps.processes import start
from tests.sweeps.search_cases import jobs_of, outcomes_of

SPACE = """\
question: Which width and learning rate?
parameters:
  hidden_size: [16, 24, 32]
  lr: {log: [1.0e-3, 1.0e-1], num: 5}
fixed: {num_heads: 2, H_layers: 1, L_layers: 1, H_cycles: 1, L_cycles: 1, mlp_multiple: 16}
run:
  task: {name: sudoku4, train_puzzles: 32, valid_puzzles: 16, test_puzzles: 16}
  train: {steps: 20, batch_size: 8, equal: steps}
  model: {halt_max_steps: 1, forward_dtype: float32}
  budget: {max_params: 100k}
  num_trials: 12
  max_concurrent: 2
  confirm: {finalists: 0}
  wandb: {mode: disabled}
"""


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(300)
def test_replayed_from_its_curves_a_real_sweep_makes_the_same_decisions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(SPACE)
    process = start("space=mine.yaml", "out=found")
    _, err = process.communicate(timeout=250)
    assert process.returncode == 0, err

    config = read_resumed_config(["resume=found"])
    candidates = Candidates(config, {"vocab_size": 7, "seq_len": 16, "num_puzzle_identifiers": 1})
    write_curves(Path("found"), list(candidates.space.parameters), Path("curves.parquet"))
    plan = Scheduler(config, candidates, None, slots=2)
    curves = StoredCurves(Path("curves.parquet"), candidates)
    Simulator(TrialRunner(plan), curves.build_lookup(config.seed), slots=2).run()

    real = [
        decision(row["number"], row["status"], row["steps"], values_of(row)) for row in rows(Path("found"))
    ]
    replayed = [
        decision(number, outcome.status, outcome.reports[-1].step, jobs_of(plan)[number].params)
        for number, outcome in sorted(outcomes_of(plan).items())
    ]
    assert replayed == real
    assert {status for _, status, *_ in real} == {"completed", "pruned"}, "or it would show little"


def rows(out: Path) -> list[dict[str, Any]]:
    return sorted(read_trials(out).to_pylist(), key=lambda row: row["number"])


def values_of(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[f"p.{name}"] for name in ("hidden_size", "lr")}


def decision(number: int, status: str, steps: int, params: Mapping[str, Any]) -> tuple[Any, ...]:
    return number, status, steps, params["hidden_size"], params["lr"]
