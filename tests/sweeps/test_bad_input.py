"""What a user may get wrong: one message with the mend, exit code 2, nothing started, nothing written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hrm.system.device import list_devices
from sweeps.cli.compose import Groups
from tests.sweeps.door_cases import call, contents

ROOT = Path(__file__).resolve().parents[2]
SPACE = "space=depth_vs_width"
TEXT = "space=text_h_update_period"
LACKING = "mps" if "cuda" in list_devices() else "cuda"
"""No machine has both."""


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands the user in an empty folder, with an empty cache and without a W&B account."""
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for name in ("HOME", "HRM_SWEEPS_CACHE", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setenv("NETRC", str(home / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)


def refused(*arguments: str) -> str:
    """The message of a call that must fail as a user's error and leave nothing."""
    before = contents(Path.cwd())
    ended = call(*arguments)
    assert ended.code == 2, ended
    assert ended.out == ""
    lines = ended.err.splitlines()
    assert len(lines) == 1, ended.err
    assert lines[0].startswith("error: ")
    assert contents(Path.cwd()) == before
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        # names
        (
            ["space=depth_vs_wdth"],
            ["space", "'depth_vs_wdth'", "expansion", "Did you mean 'depth_vs_width'?"],
        ),
        (["space=missing.yaml"], ["missing.yaml", "no such file"]),
        (["num_trials=3"], ["must choose a space", "depth_vs_width"]),
        ([SPACE, "task=sudoku5"], ["task", "'sudoku5'", "sudoku4", "Did you mean"]),
        ([SPACE, "sampler=tpee"], ["sampler", "'tpee'", "Did you mean 'tpe'?"]),
        ([SPACE, "pruner=medain"], ["pruner", "'medain'", "Did you mean 'median'?"]),
        ([SPACE, "pruner=wilcoxon"], ["pruner: given 'wilcoxon'; was removed. Use pruner=median"]),
        ([SPACE, "pruner.name=wilcoxon"], ["pruner: given 'wilcoxon'; was removed. Use pruner=median"]),
        ([SPACE, "pruner=extrapolation"], ["pruner: given 'extrapolation'; was removed. Use pruner=patient"]),
        (
            [SPACE, "pruner=patient", "pruner.wrapped=extrapolation"],
            ["pruner.wrapped: given 'extrapolation'; was removed"],
        ),
        (
            [SPACE, "pruning.fidelity=steps"],
            ["pruning.fidelity and", "were removed", "Use train.equal=steps"],
        ),
        ([SPACE, "pruning.within=all"], ["pruning.within were removed", "pruner.min_resource=N to spare"]),
        (
            [SPACE, "baseline.presets=[tiny_dmo]"],
            ["preset", "tiny_dmo", "Did you mean 'tiny_demo'?"],
        ),
        ([SPACE, "baseline.presets=[base_default]"], ["baseline.presets", "exceeds budget.max_params"]),
        ([SPACE, "--multirum"], ["command line: given '--multirum'", "Did you mean '--multirun'?"]),
        (
            [SPACE, "budget.max_params=tiny_dmo"],
            ["budget.max_params", "tiny_dmo", "Did you mean 'tiny_demo'?"],
        ),
        ([SPACE, "train.reference=tiny_dmo"], ["train.reference", "tiny_dmo", "Did you mean 'tiny_demo'?"]),
        ([SPACE, "objective=valid/exact"], ["objective", "valid/exact_accuracy"]),
        ([SPACE, "objectives=[accuracy]"], ["objectives", "two or more", "objective="]),
        ([SPACE, "objectives=accuracy"], ["objectives", "must be a list"]),
        ([SPACE, "objectives=[params,accuracy]"], ["objectives", "must begin with a metric"]),
        ([SPACE, "objectives=[accuracy,parms]"], ["parms", "Did you mean 'params'?"]),
        (
            [SPACE, "objectives=[accuracy,params]", "objective=valid/loss"],
            ["objective and objectives", "one replaces the other", "only one"],
        ),
        ([SPACE, "objectives=[accuracy,params]", "reference_point=[1,null]"], ["reference_point", "below 1"]),
        (
            [SPACE, "reference_point=[0,1M]"],
            ["reference_point: given [0, '1M']", "goes with objectives=[...]"],
        ),
        ([SPACE, "resume_pruned=2", "pruner=none"], ["resume_pruned: given 2", "needs a pruner"]),
        ([SPACE, "objectives=[bits_per_byte,params]"], ["objective", "family=puzzle", "blank_accuracy"]),
        ([SPACE, "family=txt"], ["family", "puzzle"]),
        ([SPACE, "family=text"], ["model: given 'q_continue'", "n_embd"]),
        ([SPACE, "objective=valid/bits_per_byte"], ["objective", "family=puzzle", "blank_accuracy"]),
        ([TEXT, "objective=valid/blank_accuracy"], ["objective", "family=text", "bits_per_byte"]),
        ([TEXT, "task=sudoku6"], ["task", "fits the puzzle family, not family=text"]),
        ([TEXT, "baseline.presets=[text_dmo]"], ["preset", "Did you mean 'text_demo'?"]),
        ([TEXT, "n_embd=64"], ["n_embd", "Did you mean 'model.n_embd'?"]),
        ([TEXT, "model.n_embed=64"], ["model", "Did you mean 'n_embd'?"]),
        ([TEXT, "space.fixed.n_head=5"], ["n_head: given 5", "must divide n_embd=48"]),
        ([TEXT, "task.seq_len=0"], ["task.seq_len: given 0", "at least 1"]),
        ([TEXT, "task.tokenizer=bpe", "task.vocab_size=100"], ["task.vocab_size: given 100", "at least 258"]),
        ([TEXT, "task.text=missing/*.txt"], ["task.text", "no file matches", "task.text=books/*.txt"]),
        ([SPACE, "device=gpu"], ["device", "cuda, mps, cpu"]),
        ([SPACE, "wandb.mode=onlin"], ["wandb.mode", "disabled, offline, online"]),
        # keys
        ([SPACE, "num_trails=8"], ["num_trails", "Did you mean 'num_trials'?"]),
        ([SPACE, "trian.steps=8"], ["trian", "Did you mean 'train'?"]),
        ([SPACE, "train.stpes=8"], ["train", "stpes", "Did you mean 'steps'?"]),
        ([SPACE, "+train.stpes=8"], ["train", "stpes", "Did you mean 'steps'?"]),
        ([SPACE, "task.clue=20"], ["task", "clue", "Did you mean 'clues'?"]),
        ([SPACE, "model.halt_max_step=2"], ["model", "Did you mean 'halt_max_steps'?"]),
        ([SPACE, "arch.halt_max_step=2"], ["model", "Did you mean 'halt_max_steps'?"]),
        ([SPACE, "halt_max_steps=2"], ["halt_max_steps", "Did you mean 'model.halt_max_steps'?"]),
        ([SPACE, "sampler.n_startup=3"], ["sampler", "Did you mean 'n_startup_trials'?"]),
        ([SPACE, "pruner.reduction=3"], ["pruner", "Did you mean 'reduction_factor'?"]),
        ([SPACE, "pruner=none", "pruner.foo=3"], ["pruner.foo", "no options"]),
        ([SPACE, "space.parametrs.lr=1"], ["parametrs", "Did you mean 'parameters'?"]),
        (
            [SPACE, "space.parameters.lr=[1e-3]"],
            ["space.parameters.lr: given '[1e-3]'", "'~space.parameters.lr' '+space.parameters.lr=[1e-3]'"],
        ),
        # values
        ([SPACE, "num_trials=0"], ["num_trials: given 0", "at least 1"]),
        ([SPACE, "num_trials=-3"], ["num_trials: given -3", "at least 1"]),
        ([SPACE, "num_trials=many"], ["num_trials: given 'many'", "whole number"]),
        ([SPACE, "train.steps=0"], ["train.steps: given 0", "at least 1"]),
        ([SPACE, "train.lr=-1"], ["train.lr: given -1", "above 0"]),
        ([SPACE, "train.lr=nan"], ["train.lr: given nan", "finite"]),
        ([SPACE, "train.lr.x=1"], ["train.lr", "finite number"]),
        ([SPACE, "train=5"], ["train: given 5", "such as train.steps"]),
        ([SPACE, "model=5"], ["model: given 5", "such as model.hidden_size"]),
        ([SPACE, "arch=5"], ["arch: given 5", "section of options"]),
        ([SPACE, "wandb=online"], ["wandb.mode: given 'online'", "wandb login"]),
        ([SPACE, "budget=0"], ["budget.max_params: given 0", "above 0"]),
        ([SPACE, "train.lr=${nothing}"], ["train.lr", "nothing"]),
        ([SPACE, "train.steps=5", "train.num_reports=6"], ["train.num_reports: given 6", "at most steps=5"]),
        ([SPACE, "seed=-1"], ["seed: given -1", "at least 0"]),
        ([SPACE, "confirm.seeds=1"], ["confirm.seeds: given 1", "at least 2"]),
        ([SPACE, "max_concurrent=0"], ["max_concurrent: given 0", "at least 1"]),
        ([SPACE, "sampler.n_ei_candidates=0"], ["sampler.n_ei_candidates: given 0", "at least 1"]),
        ([SPACE, "pruner.reduction_factor=1"], ["pruner.reduction_factor: given 1", "at least 2"]),
        (
            [SPACE, "train.num_reports=4", "pruner.min_resource=50"],
            ["pruner.min_resource: given 50", "runs end at validation 4"],
        ),
        ([SPACE, "model.halt_max_steps=0"], ["model.halt_max_steps: given 0", "at least 1"]),
        ([SPACE, "model.halt_max_steps=few"], ["model.halt_max_steps: given 'few'", "whole number"]),
        ([SPACE, "model.forward_dtype=float8"], ["model.forward_dtype", "bfloat16"]),
        ([SPACE, "model.h_update_period=0"], ["model.h_update_period: given 0", "at least 1"]),
        (["space=cycles", "model.num_heads=3", "model.hidden_size=100"], ["num_heads", "must divide"]),
        (["space=cycles", "space.fixed.num_heads=5"], ["num_heads: given 5", "must divide hidden_size=128"]),
        (["space=cycles", "space.fixed={hidden_size: 36, num_heads: 4}"], ["= 9 must be even for RoPE"]),
        ([SPACE, "task.clues=3"], ["task.clues: given 3", "9..35"]),
        ([SPACE, "task.train_puzzles=0"], ["task.train_puzzles: given 0", "at least 1"]),
        # the budget
        ([SPACE, "budget.max_params=0"], ["budget.max_params: given 0", "above 0"]),
        ([SPACE, "budget.max_params=-5"], ["budget.max_params: given -5", "above 0"]),
        ([SPACE, "budget.max_params=0.5Q"], ["budget.max_params", "0.5M"]),
        ([SPACE, "budget.max_params=1000"], ["budget.max_params: given 1000", "no model of space", "Raise"]),
        ([SPACE, "budget.min_params=2M"], ["budget.min_params", "above budget.max_params=527,490"]),
        # the command line itself
        ([SPACE, "bare"], ["'bare'", "name=value"]),
        ([SPACE, "=3"], ["'=3'", "name=value"]),
        ([SPACE, "train.lr=[1"], ["'train.lr=[1'", "cannot be read"]),
        (["space=depth_vs_width,cycles"], ["--multirun"]),
        # the machine
        ([SPACE, "resources.cpus_per_trial=0"], ["resources.cpus_per_trial: given 0", "at least 1"]),
        ([SPACE, "resources.cpus_per_trial=100000"], ["resources.cpus_per_trial", "the CPUs that are there"]),
        ([SPACE, "resources.trials_per_gpu=0"], ["resources.trials_per_gpu: given 0", "at least 1, or auto"]),
        ([SPACE, "max_concurrent=all"], ["max_concurrent: given 'all'", "at least 1, or auto"]),
        (
            [SPACE, "device=cpu", "train.batch_size=100000000"],
            ["max_concurrent: given 'auto'", "the largest model", "budget.max_memory="],
        ),
        ([SPACE, "ray.storage_path=ftp://host/folder"], ["ray.storage_path", "Unrecognized filesystem type"]),
        ([SPACE, "wandb.mode=online"], ["wandb.mode", "wandb login", "offline"]),
    ],
    ids=" ".join,
)
def test_one_message_with_the_mend(arguments: list[str], parts: list[str]) -> None:
    message = refused(*arguments)
    assert [part for part in parts if part not in message] == [], message


def test_an_output_folder_that_holds_a_sweep_is_kept() -> None:
    Path("taken").mkdir()
    Path("taken/trials.parquet").write_text("precious")
    assert "already holds a sweep" in refused(SPACE, "out=taken")
    assert Path("taken/trials.parquet").read_text() == "precious"


def test_an_output_folder_that_is_a_file() -> None:
    Path("file").write_text("precious")
    assert "is a file" in refused(SPACE, "out=file")
    assert "must be a folder" in refused(SPACE, "out=file/below")


@pytest.mark.parametrize("name", ["missing", "missing.csv", "a/b"])
def test_missing_data(name: str) -> None:
    assert str(Path.cwd() / name) in refused(SPACE, f"task=./{name}")


def test_malformed_data() -> None:
    folder = Path("data/train")
    folder.mkdir(parents=True)
    (folder / "dataset.json").write_text("{")
    assert "dataset.json" in refused(SPACE, "task=data")
    Path("bad.csv").write_text("source,question,answer,rating\nx,12,34,0\n")
    assert "bad.csv" in refused(SPACE, "task=./bad.csv")


def test_an_objective_that_the_data_cannot_give() -> None:
    """Sequences of 12 are no Sudoku: none of their cells is known to be blank."""
    about = {"seq_len": 12, "vocab_size": 5, "pad_id": 0, "ignore_label_id": 0, "blank_identifier_id": 0}
    about |= {"num_puzzle_identifiers": 1, "total_groups": 20, "mean_puzzle_examples": 1, "sets": ["all"]}
    rng = np.random.default_rng(0)
    for half in ("train", "test"):
        folder = Path("chains") / half
        folder.mkdir(parents=True)
        (folder / "dataset.json").write_text(json.dumps(about))
        arrays = {name: rng.integers(1, 5, (20, 12), np.uint8) for name in ("inputs", "labels")}
        arrays |= {"puzzle_identifiers": np.zeros(20, np.int32)}
        arrays |= {name: np.arange(21, dtype=np.int32) for name in ("puzzle_indices", "group_indices")}
        for name, array in arrays.items():
            np.save(folder / f"all__{name}.npy", array)
    ended = call(SPACE, "task=chains", "objective=valid/blank_accuracy_auc")
    assert ended.code == 2
    prepared, message = ended.err.splitlines()
    assert prepared == "preparing data"
    assert "no blank cells" in message and "Use objective=valid/cell_accuracy_auc" in message


def test_data_that_are_malformed_only_inside() -> None:
    """Found while the data are prepared, still before anything is started or written."""
    rng = np.random.default_rng(0)
    Path("bad.csv").write_text(
        "source,question,answer,rating\n"
        + "".join(f"x,{'.' * 81},{''.join(map(str, rng.integers(1, 10, 81)))},0\n" for _ in range(20))
    )
    assert "bad.csv" in refused(SPACE, "task=./bad.csv")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("question: [", ["valid YAML"]),
        ("question: Why?\n", ["parameters", "at least one"]),
        ("parameters: {H_layers: {int: [1, 4]}}\n", ["question"]),
        ("question: Why?\nparameters: {H_layer: {int: [1, 4]}}\n", ["Did you mean 'H_layers'?"]),
        ("question: Why?\nparmeters: {H_layers: {int: [1, 4]}}\n", ["Did you mean 'parameters'?"]),
        ("question: Why?\nparameters: {H_layers: {int: [4, 1]}}\n", ["H_layers"]),
        ("question: Why?\nparameters: {H_layers: {int: [1, 4]}}\nrun: {stpes: 3}\n", ["run", "stpes"]),
        (
            "question: Why?\nparameters: {H_layers: {int: [1, 4]}}\nrun: {task: sudoku5}\n",
            ["space", "run: task", "sudoku5"],
        ),
    ],
)
def test_a_faulty_space(text: str, parts: list[str]) -> None:
    Path("mine.yaml").write_text(text)
    message = refused("space=mine.yaml", "dry_run=true")
    assert [part for part in parts if part not in message] == [], message


def test_a_broken_space_breaks_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("spaces").mkdir()
    Path("spaces/broken.yaml").write_text("question: [")
    sound = (
        "question: Why?\nparameters: {lr: {log: [1.0e-4, 1.0e-2]}}\nfixed: {hidden_size: 64, num_heads: 4}\n"
    )
    Path("spaces/sound.yaml").write_text(sound)
    monkeypatch.setattr(Groups.__init__, "__defaults__", (Path("spaces").absolute(),))
    assert "broken.yaml" in refused("space=broken")
    ended = call("space=sound", "task=sudoku4", "dry_run=true")
    assert ended.code == 0, ended.err
    assert "Why?" in ended.out


@pytest.mark.parametrize(
    ("argument", "part"),
    [
        ("num_trials=0", "num_trials: given 0"),
        (f"device={LACKING}", f"device: given '{LACKING}'"),
        pytest.param("ray.address=127.0.0.1:1", "ray.address: given '127.0.0.1:1'", marks=pytest.mark.slow),
        ("train.lr=[1", "'train.lr=[1' cannot be read"),
    ],
)
def test_the_program_itself(argument: str, part: str) -> None:
    """A process of its own: what only a fresh interpreter would print is seen too."""
    command = [sys.executable, str(ROOT / "run_sweep.py"), SPACE, "task=sudoku4", argument]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 2
    assert done.stdout in ("", "preparing data\n")
    assert "Traceback" not in done.stderr
    message = done.stderr.strip().splitlines()[-1]
    assert message.startswith("error: ")
    assert part.replace("' cannot", "'; cannot") in message
    assert not Path("outputs").exists()
