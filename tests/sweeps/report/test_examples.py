"""Example puzzles: which models answer, which layout, and the animation."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.report.sections.examples import Layout, collect_examples, is_readable, write_animation
from tests.sweeps.synthetic_sweep import run_sweep


def test_the_winner_and_a_preset_are_shown(tmp_path: Path) -> None:
    out = run_sweep(tmp_path, num_trials=6)
    folder = SweepFolder.read(out)
    confirmed = [row["number"] for row in folder.select("confirm")]
    assert sorted(folder.answers) == confirmed[:3], "the first seed of each arm"
    shown = collect_examples(folder)
    assert shown is not None
    (finalist, preset) = shown["puzzles"][0]["arms"]
    assert finalist["name"].startswith("trial ") and preset["name"] == "tiny_demo"
    assert (shown["columns"], shown["box_columns"], shown["box_rows"]) == (6, 3, 2)
    given, solution = shown["puzzles"][0]["given"], shown["puzzles"][0]["solution"]
    assert all(text in ("", right) for text, right in zip(given, solution))
    assert set(solution) == set("123456")

    path = tmp_path / "segments.gif"
    assert is_readable(shown)
    write_animation(shown, path)
    with Image.open(path) as image:
        assert image.n_frames == 1 + max(len(finalist["segments"]), len(preset["segments"]))
        assert image.info["loop"] == 0


def test_nothing_is_shown_where_nobody_was_asked(tmp_path: Path) -> None:
    out = run_sweep(tmp_path, num_trials=6)
    for path in (out / "answers").iterdir():
        path.unlink()
    assert collect_examples(SweepFolder.read(out)) is None


def test_layouts() -> None:
    assert Layout.infer({"seq_len": 81, "vocab_size": 11}) == Layout(9, 3, 3, 1)
    assert Layout.infer({"seq_len": 900, "vocab_size": 6}) == Layout(30)
    assert Layout.infer({"seq_len": 35, "vocab_size": 6}) == Layout(35)
    assert Layout.infer({"seq_len": 81, "vocab_size": 11}).write_token(10) == "9"
