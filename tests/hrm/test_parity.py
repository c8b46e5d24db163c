"""`python -m hrm.parity` on the golden files, on spoilt copies of them, and on other files."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hrm.config.command_line import run_cli
from hrm.parity import main

GOLDEN = Path(__file__).parents[1] / "golden"
SEGMENTS, SOFTMAX, TRAINING = (
    GOLDEN / f"hrm_v1_{name}.npz" for name in ("small", "softmax_nopuzzle", "optimizer")
)
Arrays = dict[str, np.ndarray]


def parity(*files: Path) -> int:
    return run_cli(main, [str(file) for file in files])


@pytest.fixture
def spoil(tmp_path: Path) -> Callable[[Path, Callable[[Arrays], Any]], Path]:
    """Copies a golden file with its arrays changed."""

    def copy(file: Path, change: Callable[[Arrays], Any]) -> Path:
        with np.load(file) as stored:
            arrays = dict(stored)
        change(arrays)
        np.savez(tmp_path / "spoilt.npz", **arrays)
        return tmp_path / "spoilt.npz"

    return copy


def change_meta(arrays: Arrays, change: Callable[[dict[str, Any]], Any]) -> None:
    meta = json.loads(str(arrays["meta"]))
    change(meta)
    arrays["meta"] = np.array(json.dumps(meta))


def test_our_model_holds_on_the_golden_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert parity(SEGMENTS, SOFTMAX, TRAINING) == 0
    out = capsys.readouterr().out
    for group in ("train3 grad", "train2 target_q_continue", "eval logits", "weights after 12", "lr", "loss"):
        assert re.search(rf"^  {group} +error \S+ +bound \S+ +ok", out, re.M), group
    assert out.endswith("all within their bounds\n")


@pytest.mark.parametrize(
    ("file", "key", "group"),
    [
        (SEGMENTS, "train1/logits", "train1 logits"),
        (SEGMENTS, "train0/loss", "train0 loss"),
        (SEGMENTS, "train3/grad/puzzle_emb.local_weights", "train3 grad"),
        (SEGMENTS, "train2/metric/accuracy", "train2 metric"),
        (SEGMENTS, "eval/q_halt_logits", "eval q_halt"),
        (TRAINING, "loss", "loss"),
        (TRAINING, "lr", "lr"),
        (TRAINING, "after1/puzzle_emb.weights", "weights after 1"),
    ],
)
def test_a_number_out_of_bounds_is_found(
    file: Path, key: str, group: str, spoil: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    def change(arrays: Arrays) -> None:
        values = arrays[key].copy()
        values.flat[-1] += 0.02 * np.abs(values).max()
        arrays[key] = values

    assert parity(spoil(file, change)) == 1
    out = capsys.readouterr().out
    assert re.search(rf"^  {group} .*ABOVE THE BOUND", out, re.M)
    assert out.endswith("1 above the bound\n")


@pytest.mark.parametrize("key", ["train0/halted", "train1/steps", "train3/metric/count", "eval/segments"])
def test_whole_numbers_must_be_equal(key: str, spoil: Callable[..., Path]) -> None:
    def change(arrays: Arrays) -> None:
        arrays[key] = ~arrays[key] if arrays[key].dtype == bool else arrays[key] + 1

    assert parity(spoil(SEGMENTS, change)) == 1


def test_nan_is_out_of_bounds(spoil: Callable[..., Path]) -> None:
    path = spoil(SEGMENTS, lambda arrays: arrays.update({"train0/logits": arrays["train0/logits"] * np.nan}))
    assert parity(path) == 1


def test_an_array_that_ours_does_not_give_is_out_of_bounds(spoil: Callable[..., Path]) -> None:
    path = spoil(
        SEGMENTS, lambda arrays: change_meta(arrays, lambda meta: meta["config"].update(halt_max_steps=1))
    )
    assert parity(path) == 1


def test_fewer_segments_and_no_evaluation_are_a_golden_file(spoil: Callable[..., Path]) -> None:
    def change(arrays: Arrays) -> None:
        for key in [key for key in arrays if key.startswith(("train1", "train2", "train3", "eval"))]:
            del arrays[key]

    assert parity(spoil(SEGMENTS, change)) == 0


def delete(*keys: str) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        for key in keys:
            del arrays[key]

    return change


def replace(key: str, value: Any) -> Callable[[Arrays], None]:
    return lambda arrays: arrays.update({key: np.array(value)})


def config(**fields: Any) -> Callable[[Arrays], None]:
    return lambda arrays: change_meta(arrays, lambda meta: meta["config"].update(fields))


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (SEGMENTS, delete("meta"), "meta: given \"missing 'meta'\""),
        (SEGMENTS, replace("meta", "{"), "meta: given 'unreadable'"),
        (SEGMENTS, replace("meta", "[1]"), "must be JSON with config and loss_type"),
        (SEGMENTS, config(hidden_sise=32), "Did you mean 'hidden_size'?"),
        (SEGMENTS, config(num_heads=5), "must divide hidden_size=32"),
        (SEGMENTS, config(hidden_size=64), "must have the shape"),
        (SEGMENTS, delete("state/H_init"), "lacks H_init"),
        (SEGMENTS, delete("batch2/labels"), "no batch2/labels"),
        (SEGMENTS, delete("train1/logits"), "no train1/logits"),
        (SEGMENTS, replace("batch0/inputs", [[1, 2]]), "must be integers [4, 16]"),
        (SEGMENTS, replace("batch0/puzzle_identifiers", [0, 1, 2, 5]), "given 5"),
        (SEGMENTS, replace("train0/logits", np.zeros((4, 16, 10))), "must have the shape [4, 16, 11]"),
        (SEGMENTS, replace("train5/loss", 1.0), "without a gap"),
        (SEGMENTS, replace("train0/loss", "much"), "must hold numbers"),
        (TRAINING, replace("loss", [1.0, 2.0]), "must have the shape [12]"),
        (TRAINING, lambda arrays: change_meta(arrays, lambda m: m["optimizer"].pop("betas")), "betas"),
        (
            TRAINING,
            lambda arrays: change_meta(arrays, lambda m: m["optimizer"].update(lr=-1)),
            "must be above 0",
        ),
        (TRAINING, replace("after13/H_init", np.zeros(32)), "must lie in 1..total_steps=12"),
        (TRAINING, replace("after1/unknown", 1.0), "unknown weights after1/unknown"),
    ],
)
def test_a_malformed_file_is_one_message(
    file: Path,
    change: Callable[[Arrays], None],
    message: str,
    spoil: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert parity(spoil(file, change)) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "content", [b"", b"not a zip", SEGMENTS.read_bytes()[:5000]], ids=["empty", "text", "cut"]
)
def test_what_is_no_archive_is_one_message(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "file.npz"
    path.write_bytes(content)
    assert parity(path) == 2
    assert "must be a golden .npz file" in capsys.readouterr().err


def test_a_missing_file_stops_before_the_others_are_held(capsys: pytest.CaptureFixture[str]) -> None:
    assert parity(SEGMENTS, Path("none.npz")) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "none.npz: given 'no such file'" in captured.err
