"""Several sweeps next to each other: each row is its sweep's, and nothing is drawn that cannot be compared."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.report.blocks import Figure, Table, Text
from sweeps.report.sections.scaling import build_comparison
from tests.sweeps.synthetic_sweep import run_sweep


def test_budgets_and_seeds(tmp_path: Path) -> None:
    first = SweepFolder.read(run_sweep(tmp_path / "a", num_trials=6))
    second = SweepFolder.read(run_sweep(tmp_path / "b", num_trials=6, seed=3))
    table, tally, figure = build_comparison([first, second]).blocks
    assert isinstance(table, Table) and isinstance(tally, Text) and isinstance(figure, Figure)
    rows = [dict(zip(table.header, row)) for row in table.rows]
    assert [row["seed"] for row in rows] == ["0", "3"]
    assert [row["budget"] for row in rows] == ["527,490"] * 2
    for row, folder in zip(rows, (first, second)):
        assert row["runs"] == str(len(folder.trials))
        finalist, *_ = [
            pair for pair in folder.comparisons.all if f"{pair.finalist.name}:" in row["best configuration"]
        ]
        assert row["verdict"] == f"**{finalist.verdict}**"
        assert row["best preset"].startswith("tiny_demo: ")
    verdicts = [row["verdict"] for row in rows]
    for verdict in verdicts:
        assert f"{verdict} in {verdicts.count(verdict)}" in tally.text and tally.text.endswith("of 2 sweeps.")
    assert len(figure.chart.panels[0].layers) == 4

    other = dataclasses.replace(
        second, metadata=dataclasses.replace(second.metadata, data_fingerprint="other")
    )
    *_, text = build_comparison([first, other]).blocks
    assert isinstance(text, Text) and text.text.startswith("No figure")
