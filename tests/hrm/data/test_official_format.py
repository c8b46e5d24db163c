"""What is wrong with a folder is said once, with the file, the fault and the rule."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hrm.config.errors import UserError
from hrm.data.base import IGNORED_LABEL
from hrm.data.official_format import Half, read_metadata

WriteHalf = Callable[..., None]
INPUTS = np.arange(7 * 4).reshape(7, 4) % 5 + 1


@pytest.fixture
def half(tmp_path: Path, write_half: WriteHalf) -> Path:
    """Seven examples, four puzzles, two groups."""
    write_half(tmp_path / "train", INPUTS, INPUTS + 1, [2, 1, 3, 1], [3, 1])
    return tmp_path / "train"


def test_reads_what_is_there(half: Path) -> None:
    data = Half(half)
    assert (data.num_examples, data.num_groups) == (7, 2)
    assert data.metadata.model_fields == {"vocab_size": 11, "seq_len": 4, "num_puzzle_identifiers": 1}
    inputs, labels = data.get_examples(np.array([6, 0]))
    assert inputs.tolist() == INPUTS[[6, 0]].tolist()
    assert labels.tolist() == (INPUTS + 1)[[6, 0]].tolist()
    assert inputs.dtype == labels.dtype == np.int32
    data.check_values()


def test_identifiers_follow_their_puzzle(half: Path) -> None:
    np.save(half / "all__puzzle_identifiers.npy", np.array([4, 3, 2, 1]))
    assert Half(half).get_identifiers(np.arange(7)).tolist() == [4, 4, 3, 2, 2, 2, 1]


@pytest.mark.parametrize(("ignore_label_id", "expected"), [(0, [IGNORED_LABEL, 2]), (2, [0, IGNORED_LABEL])])
def test_ignored_labels_become_ours(
    half: Path, write_half: WriteHalf, ignore_label_id: int, expected: list[int]
) -> None:
    labels = np.tile([0, 2], (7, 2))
    write_half(half, INPUTS, labels, [7], [1], ignore_label_id=ignore_label_id)
    assert Half(half).get_examples(np.array([3]))[1].tolist() == [expected * 2]


def test_no_label_is_ignored_without_an_id(half: Path, write_half: WriteHalf) -> None:
    write_half(half, INPUTS, np.tile([0, 2], (7, 2)), [7], [1], ignore_label_id=None)
    assert Half(half).get_examples(np.array([3]))[1].tolist() == [[0, 2, 0, 2]]


def test_sets_lie_behind_each_other(half: Path, write_half: WriteHalf) -> None:
    other = INPUTS[::-1]
    write_half(half, other, other, [3, 4], [1, 1], set_name="more", sets=["all", "more"])
    data = Half(half)
    assert (data.num_examples, data.num_groups) == (14, 4)
    assert data.puzzle_starts.tolist() == [0, 2, 3, 6, 7, 10, 14]
    assert data.group_starts.tolist() == [0, 3, 4, 5, 6]
    chosen = np.array([13, 0, 7, 6])
    assert data.get_examples(chosen)[0].tolist() == np.concatenate([INPUTS, other])[chosen].tolist()
    assert len(data.files) == 11


def _message(call: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        call()
    return str(caught.value)


def test_a_missing_folder(tmp_path: Path) -> None:
    message = _message(lambda: read_metadata(tmp_path / "train"))
    assert message.startswith(
        f"{tmp_path}/train: given 'no such folder'; a data set folder holds train/ and test/"
    )
    assert message.endswith("Check the path of task=")


@pytest.mark.parametrize("name", ["dataset.json", "all__inputs.npy", "all__group_indices.npy"])
def test_a_missing_file(half: Path, name: str) -> None:
    (half / name).unlink()
    assert _message(lambda: Half(half)).startswith(
        f"{half}/{name}: given 'no such file'; a data set folder holds"
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "must be valid YAML"),
        ("[1]", "given 'list'; must hold a mapping of names to values"),
    ],
)
def test_a_metadata_file_that_is_no_object(half: Path, text: str, fault: str) -> None:
    (half / "dataset.json").write_text(text)
    message = _message(lambda: Half(half))
    assert message.startswith(f"{half}/dataset.json: given ")
    assert fault in message


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("vocab_size", 0, "vocab_size: given 0; must be at least 1"),
        ("vocab_size", "many", "vocab_size: given 'many'; must be a whole number"),
        ("seq_len", None, "seq_len: given None; must be a whole number"),
        ("num_puzzle_identifiers", True, "num_puzzle_identifiers: given True; must be a whole number"),
        ("ignore_label_id", "none", "ignore_label_id: given 'none'; must be a whole number or null"),
        ("sets", [], "sets: given []; must list at least one name"),
        ("sets", "all", "sets: given 'all'; must be"),
    ],
)
def test_metadata_out_of_range(half: Path, name: str, value: object, fault: str) -> None:
    values = json.loads((half / "dataset.json").read_text())
    (half / "dataset.json").write_text(json.dumps(values | {name: value}))
    message = _message(lambda: Half(half))
    assert message.startswith(f"{half}/dataset.json: ")
    assert fault in message


@pytest.mark.parametrize(
    ("field", "array", "fault"),
    [
        ("inputs", np.ones(7, int), "given 'shape (7,)'; must have 2 dimension(s)"),
        ("inputs", np.ones((7, 4)), "given 'dtype float64'; must hold integers"),
        ("inputs", np.ones((7, 5), int), "given 'shape (7, 5)'; must be [examples, seq_len], here (7, 4)"),
        ("labels", np.ones((6, 4), int), "given 'shape (6, 4)'; must be [examples, seq_len], here (7, 4)"),
        ("puzzle_identifiers", np.zeros((2, 2), int), "given 'shape (2, 2)'; must have 1 dimension(s)"),
        ("puzzle_identifiers", np.zeros(3, int), "must ascend without repeats from 0 to the 3 puzzles"),
        (
            "puzzle_indices",
            np.array([0, 2, 3, 6, 8]),
            "given '5 entries from 0 to 8'; must ascend without repeats",
        ),
        ("puzzle_indices", np.array([0, 2, 2, 6, 7]), "must ascend without repeats from 0 to the 7 examples"),
        ("puzzle_indices", np.array([1, 2, 3, 6, 7]), "given '5 entries from 1 to 7'"),
        (
            "puzzle_indices",
            np.array([0, 3, 7]),
            "given '3 entries'; must have one more than the 4 puzzle identifiers",
        ),
        ("group_indices", np.array([0, 3]), "must ascend without repeats from 0 to the 4 puzzles"),
        ("group_indices", np.zeros(0, int), "given '0 entries'"),
    ],
)
def test_arrays_that_do_not_fit(half: Path, field: str, array: np.ndarray, fault: str) -> None:
    np.save(half / f"all__{field}.npy", array)
    message = _message(lambda: Half(half))
    assert f"{half}/all__" in message
    assert fault in message


def test_a_file_that_is_no_array(half: Path) -> None:
    (half / "all__labels.npy").write_text("not an array")
    message = _message(lambda: Half(half))
    assert message.startswith(f"{half}/all__labels.npy: given ")
    assert message.endswith("must be a numpy array file of integers")


def test_an_array_file_cut_short(half: Path) -> None:
    content = (half / "all__labels.npy").read_bytes()
    (half / "all__labels.npy").write_bytes(content[:-5])
    assert "all__labels.npy: given " in _message(lambda: Half(half))


@pytest.mark.parametrize(
    ("field", "place", "value", "fault"),
    [
        ("inputs", (5, 1), 11, "given '11 in row 5'; inputs must lie in 0..10"),
        ("inputs", (0, 0), -1, "given '-1 in row 0'; inputs must lie in 0..10"),
        ("labels", (6, 3), 12, "given '12 in row 6'; labels must lie in 0..10"),
        ("labels", (6, 3), -100, "given '-100 in row 6'; labels must lie in 0..10"),
        ("puzzle_identifiers", (2,), 1, "given '1 in row 2'; puzzle_identifiers must lie in 0..0"),
    ],
)
def test_values_out_of_range(half: Path, field: str, place: tuple[int, ...], value: int, fault: str) -> None:
    array = np.load(half / f"all__{field}.npy").astype(np.int32)
    array[place] = value
    np.save(half / f"all__{field}.npy", array)
    data = Half(half)
    assert fault in _message(data.check_values)


def test_largest_values_and_the_ignored_label_are_in_range(half: Path, write_half: WriteHalf) -> None:
    write_half(half, np.full((2, 4), 10), np.full((2, 4), 10), [1, 1], [2], ignore_label_id=-100)
    labels = np.array([[-100] * 4, [10] * 4])
    np.save(half / "all__labels.npy", labels)
    data = Half(half)
    data.check_values()
    assert data.get_examples(np.arange(2))[1].tolist() == [[IGNORED_LABEL] * 4, [10] * 4]
