"""The Python API: a sweep from Python, and its folder read again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import hrm
import sweeps
from hrm.config.errors import ConfigError, UnknownNameError
from sweeps.api import name_options
from sweeps.cli.compose import compose_sweep
from sweeps.errors import OutputError

SPACE: dict[str, Any] = {
    "name": "layers",
    "question": "Where do the layers go?",
    "parameters": {"H_layers": [1, 2]},
    "fixed": {"hidden_size": 16, "num_heads": 2, "L_layers": 1, "H_cycles": 1, "L_cycles": 1},
    "run": {"model": {"halt_max_steps": 1, "forward_dtype": "float32", "mlp_multiple": 16}},
}
OPTIONS: dict[str, Any] = {
    "task": {"name": "sudoku4", "train_puzzles": 32, "valid_puzzles": 16, "test_puzzles": 16},
    "train": {"steps": 4, "num_reports": 2, "batch_size": 8, "equal": "steps"},
    "budget.max_params": "100k",
    "sampler": "grid",
    "num_trials": 2,
    "confirm": {"finalists": 1, "seeds": 2},
    "wandb": "disabled",
    "max_concurrent": 1,
}


@pytest.mark.ray
@pytest.mark.timeout(300)
def test_a_sweep_from_python_is_loaded_and_its_best_model_built(tmp_path: Path) -> None:
    found = sweeps.run(SPACE, **OPTIONS, out=tmp_path / "found")
    assert found.path == tmp_path / "found"
    assert [row["kind"] for row in found.trials.to_pylist()] == ["search"] * 2 + ["confirm"] * 2
    assert found.curves.num_rows == 8
    assert found.verdict.startswith("No verdict: sudoku4 is a smoke test")
    assert found.verdict in (found.path / "report.md").read_text()
    assert found.best_config is not None
    assert hrm.build(found.best_config).config == hrm.build(found.path / "best.yaml").config
    assert sweeps.load(str(found.path)) == found
    stored = yaml.safe_load((found.path / "config.yaml").read_text())
    assert stored["space"]["name"] == "layers" and stored["budget"]["max_params"] == "100k"
    command = yaml.safe_load((found.path / "sweep.json").read_text())["command"]
    assert command[:2] == ["space=layers.yaml", "task=sudoku4"]
    (tmp_path / "layers.yaml").write_text(yaml.safe_dump(SPACE))
    repeated = compose_sweep([f"space={tmp_path}/layers.yaml", *command[1:]])
    assert repeated.space == stored["space"] and repeated.task == stored["task"]


@pytest.mark.parametrize(
    "options, expected",
    [
        ({"train": {"lr": 1e-3, "steps": 40}}, {"train.lr": 1e-3, "train.steps": 40}),
        ({"objectives": ["accuracy", "params"]}, {"objectives": ["valid/blank_accuracy", "params"]}),
        ({"task": {"name": "sudoku6", "clues": 12}}, {"task.name": "sudoku6", "task.clues": 12}),
        ({"out": 'a "b", c=d'}, {"out": 'a "b", c=d'}),
        ({"stop": {"hours": None}, "deterministic": False}, {"stop.hours": None, "deterministic": False}),
        ({"budget": "1M", "pruner": "none"}, {"budget.max_params": "1M", "pruner.name": "none"}),
    ],
)
def test_python_values_mean_what_they_say(options: dict[str, Any], expected: dict[str, Any]) -> None:
    config = compose_sweep(["space=cycles", *name_options(options)])
    for name, value in expected.items():
        found: Any = config
        for part in name.split("."):
            found = found[part] if isinstance(found, dict) else getattr(found, part)
        assert found == value


def test_faults_are_user_errors(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="num_trial'.*Did you mean 'num_trials'"):
        sweeps.run("cycles", num_trial=3)
    with pytest.raises(UnknownNameError, match="Did you mean 'cycles'"):
        sweeps.run("cycle")
    with pytest.raises(ConfigError, match="dry_run: given True"):
        sweeps.run("cycles", dry_run=True)
    with pytest.raises(OutputError, match="must be a sweep's folder"):
        sweeps.load(tmp_path)


def test_importing_sweeps_imports_neither_torch_nor_ray() -> None:
    code = "import sys, sweeps; assert sweeps.__all__; print(sorted({'torch', 'ray'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
