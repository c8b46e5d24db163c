"""The count door: exact figures on stdout, one message and exit code 2 for what a user gets wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hrm import count, door
from hrm.presets import preset_names


def counted(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert door.run(count.main, arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert door.run(count.main, arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    return err


def test_a_preset(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [" ".join(line.split()) for line in counted(capsys, "preset=base_default").splitlines()]
    for line in (
        "trainable 27,275,266",
        "puzzle embedding 512",
        "both (what a budget bounds) 27,275,778 27.3M",
        "buffers (initial states) 1,024",
        "the size guide's estimate 27,275,776 -2",
        "the size guide's claim ~25M exact is +9.1%",
        "FLOPs, batch of 32",
        "Bytes of training on a CPU, batch of 32, bfloat16 forward",
    ):
        assert line in lines


def test_the_guides_example_has_more_than_it_claims(capsys: pytest.CaptureFixture[str]) -> None:
    text = counted(capsys, "hidden_size=384", "num_heads=6", "H_layers=3", "L_layers=3")
    assert "10,626,434" in text
    assert "~7–8M  exact is +32.8%" in text


def test_the_guides_spelling_is_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    plain = counted(capsys, "hidden_size=256", "num_heads=8", "vocab_size=20")
    guides = counted(capsys, "arch.hidden_size=256", "arch.num_heads=8", "arch.vocab_size=20")
    assert plain.splitlines()[1:] == guides.splitlines()[1:]
    assert "vocabulary 20" in plain


def test_a_task_decides_sizes_unless_they_are_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert "vocabulary 11, 36 cells" in counted(capsys, "preset=tiny_demo", "task=sudoku6")
    assert "vocabulary 30, 16 cells" in counted(capsys, "task=sudoku4", "vocab_size=30")


def test_batch_size_and_ema_count(capsys: pytest.CaptureFixture[str]) -> None:
    text = counted(capsys, "preset=tiny_demo", "batch_size=7", "ema=0.99")
    assert "batch of 7" in text
    assert f"{12 * 527_362:,}" in text  # two optimizer states and the average, float32


def test_presets_are_all_listed_smallest_first(capsys: pytest.CaptureFixture[str]) -> None:
    rows = counted(capsys, "presets").split("\n\n")[0].splitlines()[1:]
    assert sorted(row.split()[0] for row in rows) == preset_names()
    exact = [int(row.split()[4].replace(",", "")) for row in rows]
    assert exact == sorted(exact)
    assert rows[0].split()[:6] == ["tiny_demo", "128/4/1+1", "1x1", "~0.40M", "527,490", "+31.9%"]


@pytest.mark.parametrize("arguments", [(), ("--help",), ("preset=tiny_demo", "-h")])
def test_help(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    text = counted(capsys, *arguments)
    assert "python -m hrm.count preset=base_default" in text
    assert all(name in text for name in (*preset_names(), "sudoku6"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["preset=bas_default"], "Did you mean 'base_default'?"),
        (["hiden_size=3"], "Did you mean 'hidden_size'?"),
        (["hidden_size=100", "num_heads=8"], "num_heads: given 8; must divide hidden_size=100"),
        (["hidden_size=36", "num_heads=4"], "must be even for RoPE"),
        (["H_cycles=0"], "H_cycles: given 0; must be at least 1"),
        (["batch_size=-1"], "batch_size: given -1; must be at least 1"),
        (["vocab_size=many"], "vocab_size: given 'many'; must be a whole number"),
        (["lr=3"], "train.lr: given 3; changes no count. Leave it out"),
        (["task=sudoku7"], "task: given 'sudoku7'; must be one of: sudoku4, sudoku6, sudoku9"),
        (["task=/no/such/folder"], "no such folder"),
        (["base_default"], "command line: given 'base_default'; must read name=value"),
    ],
)
def test_bad_input(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert message in refused(capsys, *arguments)


def test_the_module_is_a_command() -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "hrm.count", "preset=no_such"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: preset: given 'no_such'; must be one of: base_default")
