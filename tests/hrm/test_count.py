"""`python -m hrm.count`: exact figures on stdout; one message and exit code 2 for an error of the user."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hrm import count
from hrm.config.command_line import run_cli
from hrm.config.presets import list_presets


def counted(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run_cli(count.main, arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run_cli(count.main, arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    return err


def test_a_preset(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [" ".join(line.split()) for line in counted(capsys, "preset=base_default").splitlines()]
    for line in (
        "trainable 27,275,266",
        "puzzle embedding 512",
        "total (what a budget bounds) 27,275,778 27.3M",
        "buffers (initial states) 1,024",
        "the size guide's estimate 27,275,776 -2",
        "reported for base_default ~25M exact is +9.1%",
        "FLOPs, batch of 32",
        "Bytes of training on a CPU, batch of 32, bfloat16 forward",
    ):
        assert line in lines


def test_the_example_of_the_guide_has_more_parameters_than_reported(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = counted(capsys, "hidden_size=384", "num_heads=6", "H_layers=3", "L_layers=3")
    assert "10,626,434" in text
    assert "~7–8M  exact is +32.8%" in text


def test_the_spelling_of_the_guide_is_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    plain = counted(capsys, "hidden_size=256", "num_heads=8", "vocab_size=20")
    guides = counted(capsys, "arch.hidden_size=256", "arch.num_heads=8", "arch.vocab_size=20")
    assert plain.splitlines()[1:] == guides.splitlines()[1:]
    assert "vocab_size=20" in plain


def test_a_task_decides_sizes_unless_they_are_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert "vocab_size=11 seq_len=36" in counted(capsys, "preset=tiny_demo", "task=sudoku6")
    assert "vocab_size=30 seq_len=16" in counted(capsys, "task=sudoku4", "vocab_size=30")


def test_batch_size_and_ema_count(capsys: pytest.CaptureFixture[str]) -> None:
    text = counted(capsys, "preset=tiny_demo", "batch_size=7", "ema=0.99")
    assert "batch of 7" in text
    assert f"{12 * 527_362:,}" in text  # two optimizer states and the average, float32


def test_presets_are_all_listed_smallest_first_family_by_family(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = counted(capsys, "presets").split("\n\n")
    for family, block, exact_at in (("puzzle", blocks[0], 8), ("text", blocks[2], 11)):
        rows = block.splitlines()[1:]
        assert sorted(row.split()[0] for row in rows) == list_presets(family)
        exact = [int(row.split()[exact_at].replace(",", "")) for row in rows]
        assert exact == sorted(exact)
    first = blocks[0].splitlines()[1].split()
    assert first[:10] == ["tiny_demo", "128", "4", *"1111", "~0.40M", "527,490", "+31.9%"]


def test_text_presets_are_compared_with_what_was_reported(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(counted(capsys, "presets").split())
    assert (
        "text_tiny_50m 384 6 8 1536 6 2 false 32128 256 ~50M 50,398,872 +0.8% 9.68T 3.01 GiB 2-4 GB yes"
        in text
    )
    assert "text_medium_350m 768 12 16 3072 10 4 true 32128 1024 ~350M 329,094,960 -6.0%" in text
    assert "text_large_1b 1536 24 24 6144 12 5 true 32128 2048 ~1B 1,875,657,288 +87.6%" in text
    assert "text_tiny_50m 312G 1-2 308 to 821 no: at least 154 times that" in text
    assert "at least: it takes 97 GB" in text


def test_a_text_preset_and_its_own_batches(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [" ".join(line.split()) for line in counted(capsys, "preset=text_large_1b").splitlines()]
    for line in (
        "total (what a budget bounds) 1,875,657,288 1.88G",
        "reported for text_large_1b ~1B exact is +87.6%",
        "FLOPs, batch of 8 (2 of them a step)",
    ):
        assert line in lines
    assert "vocab_size=258" in counted(capsys, "preset=text_tiny_50m", "task=text")
    assert "batch of 3 (5 of them" in counted(capsys, "family=text", "batch_size=3", "accumulation=5")


@pytest.mark.parametrize("arguments", [(), ("--help",), ("preset=tiny_demo", "-h")])
def test_help(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    text = counted(capsys, *arguments)
    assert "python -m hrm.count preset=base_default" in text
    assert all(name in text for name in (*list_presets(), "sudoku6"))


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
