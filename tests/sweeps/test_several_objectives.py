"""A real sweep of several objectives, from the command line to its report, and how it goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from sweeps.results.tables import read_trials
from tests.sweeps.door_cases import call
from tests.sweeps.processes import start

SPACE = """\
question: What does accuracy cost?
parameters:
  hidden_size: [16, 32]
  lr: [1.0e-3, 1.0e-2]
fixed: {num_heads: 2, H_layers: 1, L_layers: 1, H_cycles: 1, L_cycles: 1, mlp_multiple: 16}
run:
  task: {name: sudoku4, train_puzzles: 32, valid_puzzles: 16, test_puzzles: 16}
  train: {steps: 8, num_reports: 4, batch_size: 8, equal: steps}
  model: {halt_max_steps: 1, forward_dtype: float32}
  budget: {max_params: 100k}
  objective: valid/loss
  num_trials: 4
  confirm: {finalists: 2, seeds: 2}
  wandb: {mode: disabled}
"""


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(300)
def test_a_front_from_the_command_line_to_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(SPACE)
    objectives = "objectives=[accuracy,params,latency]"
    process = start("space=mine.yaml", objectives, "sampler=nsgaii", "max_concurrent=2", "out=found")
    _, err = process.communicate(timeout=280)
    assert process.returncode == 0, err
    out = tmp_path / "found"
    stored = yaml.safe_load((out / "config.yaml").read_text())
    names = ["valid/blank_accuracy", "params", "latency"]
    assert stored["objectives"] == names and stored["objective"] == names[0], "not the space's own"
    found = json.loads((out / "pareto.json").read_text())
    assert found["objectives"] == names and found["reference"] == [0.0, 100_000.0, 1.0]
    rows = read_trials(out).to_pylist()
    completed = [row for row in rows if row["status"] == "completed"]
    assert all(0 < row["o.latency"] == row["valid/latency"] < 60 for row in completed)
    assert {row["arm"] for row in rows if row["kind"] == "confirm"} <= {one["name"] for one in found["front"]}
    assert f"Hypervolume {found['hypervolume']:.4f}" in (out / "report.md").read_text()
    refused = call("resume=found", "objective=valid/loss")
    assert (
        refused.code == 2
        and "objectives is ['valid/blank_accuracy', 'params', 'latency'], not None" in refused.err
    )
