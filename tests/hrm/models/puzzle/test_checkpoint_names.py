"""Official checkpoints: names there and back, files, and what does not fit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hrm.config.errors import CheckpointError
from hrm.models.puzzle.checkpoint_names import (
    from_official,
    load_official,
    read_official,
    to_official,
)
from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.puzzle.model import PuzzleHRM
from tests.hrm.models.puzzle.conftest import small_model

GOLDEN = Path(__file__).parents[3] / "golden"


@pytest.mark.parametrize("fields", [{}, {"puzzle_emb_ndim": 0}, {"pos_encodings": "learned"}], ids=str)
def test_names_return(fields: dict[str, Any]) -> None:
    state = small_model(L_layers=2, **fields).state_dict()
    official = to_official(state)
    assert all(name.startswith("_orig_mod.model.inner.") for name in official)
    assert from_official(official).keys() == state.keys()
    assert to_official(from_official(official)).keys() == official.keys()


@pytest.mark.parametrize("file", ["hrm_v1_small", "hrm_v1_softmax_nopuzzle"])
@pytest.mark.parametrize("prefix", ["", "inner.", "model.inner.", "_orig_mod.model.inner."])
def test_our_names_are_the_official_ones_under_any_wrapper(file: str, prefix: str) -> None:
    with np.load(GOLDEN / f"{file}.npz") as arrays:
        state = {
            k.removeprefix("state/"): torch.from_numpy(arrays[k]) for k in arrays if k.startswith("state/")
        }
    sizes = {
        "hrm_v1_small": (32, 4, 2, 1, 11, 16, 5, 32),
        "hrm_v1_softmax_nopuzzle": (48, 3, 1, 2, 7, 9, 1, 0),
    }
    names = (
        "hidden_size",
        "num_heads",
        "H_layers",
        "L_layers",
        "vocab_size",
        "seq_len",
        "num_puzzle_identifiers",
    )
    config = dict(zip((*names, "puzzle_emb_ndim"), sizes[file]))
    model = PuzzleHRM(PuzzleHRMConfig(**config, expansion=2, forward_dtype="float32"))
    load_official(model, {prefix + name: value for name, value in state.items()})
    ours = model.state_dict()
    assert {f"inner.{name}" for name in state} == ours.keys()
    assert all(torch.equal(ours[f"inner.{name}"], value) for name, value in state.items())


def test_a_file_returns_the_model(tmp_path: Path) -> None:
    written, read = small_model(0), small_model(1)
    torch.save(to_official(written.state_dict()), tmp_path / "step_1")
    read_official(read, tmp_path / "step_1")
    assert all(torch.equal(value, read.state_dict()[name]) for name, value in written.state_dict().items())


def test_a_missing_or_unknown_tensor_is_named() -> None:
    model = small_model()
    state = to_official(model.state_dict())
    del state["_orig_mod.model.inner.H_init"]
    with pytest.raises(CheckpointError, match="lacks H_init"):
        load_official(model, state)
    with pytest.raises(CheckpointError, match=r"has unknown embed_pos\.embedding_weight"):
        load_official(model, small_model(pos_encodings="learned").state_dict())


def test_another_shape_is_named_before_anything_is_loaded() -> None:
    model = small_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"embed_tokens.embedding_weight: given \[12, 16\].*\[11, 16\]"):
        load_official(model, small_model(vocab_size=12).state_dict())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        read_official(small_model(), tmp_path / "none")
    (tmp_path / "text").write_text("not a checkpoint")
    with pytest.raises(CheckpointError, match="unreadable"):
        read_official(small_model(), tmp_path / "text")
    torch.save([1, 2], tmp_path / "list")
    with pytest.raises(CheckpointError, match="list"):
        read_official(small_model(), tmp_path / "list")
