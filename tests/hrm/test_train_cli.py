"""The door `python -m hrm.train`: what a run leaves, and stopping and resuming it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from hrm.config.command_line import run_cli
from hrm.config.run_config import RunConfig, load_run_config
from hrm.config.schema import read_yaml
from hrm.models.puzzle.checkpoint_names import from_official, read_official
from hrm.models.registry import get_family
from hrm.train import main
from hrm.training.checkpoint import load_checkpoint
from hrm.training.run_folder import RunFolder
from tests.hrm.conftest import TASK_OPTIONS

MODEL = ["arch.hidden_size=16", "num_heads=2", "model.H_layers=1", "L_layers=1", "halt_max_steps=3"]
SMALL = [
    *TASK_OPTIONS,
    *MODEL,
    "mlp_multiple=16",
    "forward_dtype=float32",
    "batch_size=8",
    "lr=1e-3",
    "device=cpu",
    "threads=1",
]

NUM_STEPS, NUM_REPORTS = 150, 15
"""Long enough for a signal to arrive before the end."""
LENGTH = [f"steps={NUM_STEPS}", f"num_reports={NUM_REPORTS}"]

pytestmark = pytest.mark.usefixtures("data_cache")


def _door(*arguments: str) -> int:
    return run_cli(main, arguments)


def _start(*arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "hrm.train", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def _rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def _without_clock(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_clock(v) for k, v in value.items() if not str(k).endswith("seconds")}
    return [_without_clock(v) for v in value] if isinstance(value, list | tuple) else value


def _assert_same_run(a: Path, b: Path) -> None:
    assert _without_clock(_rows(a)) == _without_clock(_rows(b))
    results = [_without_clock(json.loads((folder / "result.json").read_text())) for folder in (a, b)]
    assert results[0] == results[1]
    states = [load_checkpoint(folder) for folder in (a, b)]
    for part in ("model", "carry"):
        _assert_equal_tensors(states[0][part], states[1][part])


def _assert_equal_tensors(a: Any, b: Any) -> None:
    if not isinstance(a, dict):
        assert torch.equal(a, b)
        return
    assert a.keys() == b.keys()
    for name in a:
        _assert_equal_tensors(a[name], b[name])


@pytest.fixture(scope="module")
def plain(data_cache: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "plain"
    assert _door(*SMALL, *LENGTH, f"out={folder}") == 0
    return folder


def test_what_a_run_leaves(plain: Path) -> None:
    names = {path.name for path in plain.iterdir()}
    assert names == {"config.yaml", "checkpoint.pt", "metrics.jsonl", "weights.pt", "result.json"}
    rows = _rows(plain)
    assert [(row["index"], row["step"]) for row in rows] == [(i, 10 * i) for i in range(1, NUM_REPORTS + 1)]
    assert all(row["train_flops"] > 0 and row["train_seconds"] > 0 and row["valid/loss"] > 0 for row in rows)
    result = json.loads((plain / "result.json").read_text())
    assert (result["status"], result["reason"], result["step"]) == ("completed", None, NUM_STEPS)
    assert result["valid/exact_accuracy"] == rows[-1]["valid/exact_accuracy"]
    assert not any(name.startswith("test/") for name in result)
    config = load_run_config(plain / "config.yaml")
    assert (config.model.hidden_size, config.model.seq_len, config.train.steps) == (16, 16, NUM_STEPS)


def test_the_weights_are_an_official_checkpoint(plain: Path) -> None:
    model = get_family("puzzle").build(load_run_config(plain / "config.yaml").model)
    read_official(model, plain / "weights.pt")
    _assert_equal_tensors(model.state_dict(), load_checkpoint(plain)["model"])


def test_a_dumped_config_trains_the_same_run(plain: Path, tmp_path: Path) -> None:
    assert _door(f"config={plain / 'config.yaml'}", f"out={tmp_path / 'again'}") == 0
    _assert_same_run(plain, tmp_path / "again")


def test_a_sweeps_winner_trains_again(plain: Path, tmp_path: Path) -> None:
    best = tmp_path / "best.yaml"
    best.write_text((plain / "config.yaml").read_text() + "sweep:\n  trial: 7\n  objective: 0.5\n")
    assert _door(f"config={best}", f"out={tmp_path / 'run'}", "steps=3", "num_reports=1") == 0
    assert "sweep" not in (tmp_path / "run" / "config.yaml").read_text()
    assert len(_rows(tmp_path / "run")) == 1


@pytest.mark.parametrize(
    ("number", "code"), [pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow), (signal.SIGINT, 130)]
)
def test_stopped_and_resumed_equals_uninterrupted(
    plain: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    folder = tmp_path / "run"
    process = _start(*SMALL, *LENGTH, f"out={folder}")
    _wait_for_report(process, folder)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert f"python -m hrm.train resume={folder}" in out
    assert f"stopped by {number.name}" in out
    assert "Traceback" not in err
    result = json.loads((folder / "result.json").read_text())
    assert (result["status"], result["step"]) == ("stopped", load_checkpoint(folder)["step"])
    assert 0 < result["step"] < NUM_STEPS
    assert _door(f"resume={folder}") == 0
    _assert_same_run(plain, folder)


def test_killed_and_resumed_equals_uninterrupted(plain: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = _start(*SMALL, *LENGTH, f"out={folder}")
    _wait_for_report(process, folder)
    process.kill()
    process.communicate(timeout=60)
    # A death between a report and its checkpoint, and one in the middle of a line.
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"index": NUM_REPORTS, "step": NUM_STEPS}) + '\n{"index": 16, "st')
    assert _door(f"resume={folder}") == 0
    _assert_same_run(plain, folder)


def _wait_for_report(process: subprocess.Popen[str], folder: Path) -> None:
    metrics = folder / "metrics.jsonl"
    while process.poll() is None and not (metrics.exists() and metrics.read_text()):
        time.sleep(0.005)
    assert process.returncode is None, process.communicate()


def test_resume_into_another_folder_keeps_the_first(plain: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in plain.iterdir()}
    assert _door(f"resume={plain}", f"out={tmp_path / 'rest'}", "threads=2", "device=auto") == 0
    assert {path.name: path.read_bytes() for path in plain.iterdir()} == before
    assert _rows(tmp_path / "rest") == _rows(plain)
    config = load_run_config(tmp_path / "rest" / "config.yaml")
    assert (config.threads, config.device) == (2, "auto")


def test_the_test_split_is_read_when_asked(plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = (plain / "metrics.jsonl").read_bytes()
    assert _door(f"resume={plain}", "read_test=true") == 0
    assert "test: exact_accuracy" in capsys.readouterr().out
    result = json.loads((plain / "result.json").read_text())
    assert 0 <= result["test/exact_accuracy"] <= 1
    assert (plain / "metrics.jsonl").read_bytes() == metrics
    assert _door(f"resume={plain}") == 0
    assert "test/exact_accuracy" not in json.loads((plain / "result.json").read_text())


def test_averaged_weights_are_the_ones_kept(tmp_path: Path) -> None:
    assert _door(*SMALL, "steps=5", "num_reports=1", "ema=0.9", f"out={tmp_path / 'run'}") == 0
    state = load_checkpoint(tmp_path / "run")
    weights = from_official(torch.load(tmp_path / "run" / "weights.pt", weights_only=True))
    kept = weights["inner.lm_head.weight"]
    assert not torch.equal(kept, state["model"]["inner.lm_head.weight"])
    assert any(torch.equal(kept, average) for average in state["ema"]["averages"])


def test_presets_plain_lines_and_smoke_tests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    process = _start_in(
        tmp_path, "preset=tiny_demo", *TASK_OPTIONS, "steps=2", "num_reports=2", "batch_size=2"
    )
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "tiny_demo on sudoku4: 527," in out
    assert "sudoku4 is a smoke test" in out
    lines = [line for line in err.splitlines() if line.startswith("step ")]
    assert [line.split(",")[0] for line in lines] == ["step 1/2", "step 2/2"]
    assert "\x1b" not in err
    (folder,) = (tmp_path / "outputs" / "train").iterdir()
    assert folder.name.startswith("tiny_demo-sudoku4-")


def _start_in(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(
        [sys.executable, "-m", "hrm.train", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def test_divergence_has_a_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = ["lr=1e30", "lr_warmup_steps=0", "steps=20", f"out={tmp_path / 'run'}"]
    assert _door(*SMALL, *overrides) == 1
    assert "diverged: loss is nan at step 2; try a smaller train.lr" in capsys.readouterr().err
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (result["status"], result["reason"]) == ("diverged", "loss is nan at step 2")


def test_a_model_too_large_for_memory_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _door(*TASK_OPTIONS, "hidden_size=1099511627776", "device=cpu", f"out={tmp_path / 'run'}") == 1
    message = "error: out of memory; try a smaller train.batch_size, train.eval_batch_size or model\n"
    assert capsys.readouterr().err.endswith(message)


def test_a_folder_that_holds_a_run_is_refused(plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.read_bytes() for path in plain.iterdir()}
    assert _door(*SMALL, f"out={plain}") == 2
    assert f"Choose another folder, or continue with resume={plain}" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in plain.iterdir()} == before


def test_reports_of_no_run(tmp_path: Path) -> None:
    assert RunFolder(tmp_path).read_validations(last=3) == []


def test_the_dumped_config_is_complete(plain: Path) -> None:
    values = read_yaml(plain / "config.yaml")
    assert values == RunConfig.from_dict(values).to_dict()
