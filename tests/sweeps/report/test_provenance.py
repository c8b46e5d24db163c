"""Overrides say the configuration again: to our reader exactly, to the official config as far as it goes."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from hrm.config.run_config import RunConfig
from hrm.config.schema import parse_dotlist
from sweeps.report.sections.provenance import (
    OFFICIAL_ADDED,
    OFFICIAL_ARCH,
    OFFICIAL_TRAIN,
    list_official_overrides,
    list_trainer_overrides,
)
from tests.sweeps.small_jobs import MODEL, TASK

CFG_PRETRAIN = """
defaults: [{arch: hrm_v1}, _self_]
data_path: data/arc-aug-1000
global_batch_size: 768
epochs: 100000
eval_interval: 10000
checkpoint_every_eval: True
lr: 1e-4
lr_min_ratio: 1.0
lr_warmup_steps: 2000
beta1: 0.9
beta2: 0.95
weight_decay: 0.1
puzzle_emb_weight_decay: 0.1
puzzle_emb_lr: 1e-2
"""
HRM_V1 = """
name: hrm.hrm_act_v1@HierarchicalReasoningModel_ACTV1
loss: {name: losses@ACTLossHead, loss_type: stablemax_cross_entropy}
halt_exploration_prob: 0.1
halt_max_steps: 16
H_cycles: 2
L_cycles: 2
H_layers: 4
L_layers: 4
hidden_size: 512
num_heads: 8
expansion: 4
puzzle_emb_ndim: ${.hidden_size}
pos_encodings: rope
"""
"""The keys that the official repository's two files have, and their values."""


def run(**changes: Any) -> RunConfig:
    base = RunConfig.from_dict({"model": {**MODEL, "mlp_multiple": 256}, "task": TASK, "seed": 7})
    return base.replace(**changes)


CHANGES: list[dict[str, Any]] = [
    {},
    {"model.H_layers": 3, "train.lr": 0.00168702, "train.steps": 292},
    {"model.h_update_period": 3, "model.q_continue": False, "train.ema": 0.999, "train.lr_warmup_steps": 12},
]


@pytest.mark.parametrize("changes", CHANGES)
def test_ours_are_read_as_the_same_run(changes: dict[str, Any]) -> None:
    config = run(**changes)
    words = shlex.split(shlex.join(list_trainer_overrides(config.to_dict())))
    again = RunConfig.from_dict({}).replace(**parse_dotlist(words))
    # What the data decide comes from the data.
    assert again.replace(**{"model.seq_len": config.model.seq_len}) == config


@pytest.mark.parametrize("changes", CHANGES)
def test_official_ones_parse_as_the_official_config_does(tmp_path: Path, changes: dict[str, Any]) -> None:
    (tmp_path / "arch").mkdir()
    (tmp_path / "cfg_pretrain.yaml").write_text(CFG_PRETRAIN)
    (tmp_path / "arch" / "hrm_v1.yaml").write_text(HRM_V1)
    config = run(**changes)
    found = list_official_overrides(config.to_dict())
    assert found is not None
    with initialize_config_dir(str(tmp_path), version_base=None):
        composed = compose("cfg_pretrain", overrides=shlex.split(shlex.join(found[0])))
    for name in (*OFFICIAL_ARCH, *OFFICIAL_ADDED):
        assert composed.arch[name] == getattr(config.model, name), name
    assert composed.arch.puzzle_emb_ndim == config.model.puzzle_embedding_size
    assert composed.arch.loss.loss_type == config.model.loss_type
    for name in OFFICIAL_TRAIN:
        assert composed[name] == getattr(config.train, name), name
    assert composed.global_batch_size == config.train.batch_size
    assert composed.lr_warmup_steps == config.train.warmup_steps
    assert composed.seed == 7
    # Its own count of steps: epochs x puzzles / batch.
    steps = composed.epochs * TASK["train_puzzles"] / composed.global_batch_size
    assert (
        config.train.steps <= steps < config.train.steps + TASK["train_puzzles"] / composed.global_batch_size
    )
    assert composed.epochs % composed.eval_interval == 0


def test_what_the_official_code_cannot_do_is_said() -> None:
    def said(**changes: Any) -> str:
        found = list_official_overrides(run(**changes).to_dict())
        assert found is not None
        return " ".join(found[1])

    assert said() == ""
    assert "every 3 L-steps" in said(**{"model.h_update_period": 3})
    assert "48 wide here; the official code rounds to 256" in said(**{"model.mlp_multiple": 16})
    assert "q_continue=false" in said(**{"model.q_continue": False})
    assert "ema=0.9" in said(**{"train.ema": 0.9})
    assert list_official_overrides({"family": "text"}) is None
