"""The report says what the tables hold, in every state a sweep can end in."""

from __future__ import annotations

import dataclasses
import re
import shutil
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pyarrow.parquet as pq
import pytest

from hrm.config.run_config import load_run_config
from hrm.config.schema import read_yaml
from hrm.system.format import format_flops
from sweeps.analysis.best import write_best
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.config import BudgetConfig, ConfirmConfig, SweepTrainConfig
from sweeps.events import Job
from sweeps.report import files
from sweeps.report.charts.chart import Lines, Points
from sweeps.report.charts.draw import draw_figure
from sweeps.report.files import format_closing_lines, write_report
from sweeps.report.format import format_percent
from sweeps.report.markdown import render_markdown
from sweeps.report.sections import build_report
from sweeps.report.sections.verdict import describe_verdict
from sweeps.results.metadata import read_metadata, write_metadata
from sweeps.results.schema import TRIAL_COLUMNS, build_table
from sweeps.results.tables import read_trials
from tests.sweeps.confirmed_table import build_folder, trials
from tests.sweeps.synthetic_sweep import Puzzles, collect_charts, plausible, run_sweep

NAMES = [
    *("best_so_far", "compute", "confirmed", "importance", "learning_curves", "main_effects"),
    *("parallel", "pareto_flops", "pareto_params", "shape", "width_depth"),
]
FIGURES = sorted(f"{name}.{kind}" for name in NAMES for kind in ("png", "svg"))


def failing(job: Job, fraction: float) -> float:
    if job.kind == "search" and job.number in (5, 9):
        raise RuntimeError("loss is nan at step 37")
    return plausible(job, fraction)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = run_sweep(tmp_path_factory.mktemp("sweep"), failing)
    found = SweepFolder.read(folder)
    write_best(folder, found)
    write_report(folder, found)
    return folder


def said(folder: Path) -> tuple[str, str]:
    """The closing lines and `report.md`, without drawing the figures."""
    found = SweepFolder.read(folder)
    return "\n".join(format_closing_lines(found, folder)), render_markdown(build_report(found))


def section(text: str, title: str) -> str:
    return re.split(r"^## ", text, flags=re.MULTILINE)[[*_titles(text)].index(title) + 1]


def _titles(text: str) -> list[str]:
    return re.findall(r"^## (.*)$", text, flags=re.MULTILINE)


def cells(text: str) -> list[list[str]]:
    """The rows of the Markdown tables in a text, headers and rules left out."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    rules = [i for i, line in enumerate(lines) if set(line[0]) == {"-"}]
    return [line for i, line in enumerate(lines) if i not in rules and i + 1 not in rules]


def test_sections(out: Path) -> None:
    text = (out / "report.md").read_text()
    assert text.startswith("# Deep or wide at the Tiny Demo preset's size?\n")
    assert _titles(text) == [
        *("Verdict", "Shape and size", "Example puzzles, segment by segment", "Hyperparameter importance"),
        *("Search", "Compute spent", "How the runs ended", "Presets left out", "How to read this"),
        *("Provenance", "Reproduce"),
    ]
    assert "527,490 parameters" in text.split("##")[0]


def test_the_verdict_table_is_the_comparison(out: Path) -> None:
    folder, text = SweepFolder.read(out), section((out / "report.md").read_text(), "Verdict")
    rows = cells(text)
    arms = folder.comparisons.arms
    assert [row[0] for row in rows[:3]] == [arms[0].name, arms[1].name, "tiny_demo (preset)"]
    for row, arm in zip(rows, arms):
        mean = arm.compute_mean("test/blank_accuracy")
        assert mean is not None and row[1].startswith(f"{mean:.3f} ± ")
        assert row[4] == "3" and row[5] == f"{arm.params:,}"
        assert row[6].endswith(" iso") == arm.iso_parameter
    assert [row[-1] for row in rows[3:]] == [f"**{pair.verdict}**" for pair in folder.comparisons.all]
    assert folder.metadata.test_name in text


def test_search_failures_compute_and_presets(out: Path) -> None:
    text, rows = (out / "report.md").read_text(), read_trials(out).to_pylist()
    best = cells(section(text, "Search"))
    search = [row for row in rows if row["kind"] == "search"]
    values = sorted((row["objective"] for row in search if row["status"] == "completed"), reverse=True)
    assert [row[1] for row in best] == [f"{value:.3f}" for value in values[:10]]
    ended = section(text, "How the runs ended")
    statuses = ("completed", "pruned", "failed")
    assert cells(ended)[0][1:] == [
        str(sum(row["kind"] == "search" and row["status"] == status for row in rows)) for status in statuses
    ]
    assert "- failed 2 time(s): RuntimeError: loss is nan at step 37" in ended
    spent = {row[0]: row[2] for row in cells(section(text, "Compute spent"))}
    for kind in ("search", "baseline", "confirm"):
        assert spent[kind] == format_flops(
            sum(row["train_flops"] or 0 for row in rows if row["kind"] == kind)
        )
    assert ["small_sudoku", "3,414,274"] in [row[:2] for row in cells(section(text, "Presets left out"))]


def test_figures_are_there_and_show_something(out: Path) -> None:
    text = (out / "report.md").read_text()
    assert sorted(path.name for path in (out / "figures").iterdir()) == sorted([*FIGURES, "segments.gif"])
    for name in NAMES:
        image = matplotlib.image.imread(out / "figures" / f"{name}.png")
        assert min(image.shape[:2]) > 300
        ink = np.mean(np.any(image[..., :3] < 0.9, axis=-1))
        assert 0.005 < ink < 0.5, "neither blank nor flooded"
        assert f"](figures/{name}.png)" in text
        assert "<text" in (out / "figures" / f"{name}.svg").read_text(), "text stays text"


def test_the_report_is_a_pure_function_of_the_folder_whoever_draws_it(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _faces(out)
    monkeypatch.setattr(files, "MANY_TRIALS", 1)
    moved = shutil.copytree(out, tmp_path / "elsewhere")
    shutil.rmtree(moved / "figures")
    for name in ("report.md", "report.html"):
        (moved / name).unlink()
    write_report(moved, SweepFolder.read(moved))
    assert _faces(moved) == before


@pytest.mark.parametrize(
    ("stop_kind", "stop_at", "says"),
    [
        ("search", 2, "No verdict: no searched configuration was confirmed"),
        ("search", 90, "No verdict: no searched configuration was confirmed"),
        ("confirm", 25, "No verdict: there is no confirmed baseline to compare trial 9 with"),
    ],
)
def test_a_sweep_that_still_runs_has_a_report(
    tmp_path: Path, stop_kind: str, stop_at: int, says: str
) -> None:
    """Before the first job has ended, in the middle of the search, and of the confirmations."""
    reports = 0

    def cut_off(job: Job, fraction: float) -> float:
        nonlocal reports
        reports += job.kind == stop_kind
        if reports > stop_at:
            raise KeyboardInterrupt
        return plausible(job, fraction)

    with pytest.raises(KeyboardInterrupt):
        run_sweep(tmp_path, cut_off)
    ended = read_trials(tmp_path).to_pylist()
    assert bool(ended) == (stop_at > 2)
    write_report(tmp_path, SweepFolder.read(tmp_path))
    text = (tmp_path / "report.md").read_text()
    assert says in section(text, "Verdict")
    counted = cells(section(text, "How the runs ended"))
    assert sum(int(number) for row in counted for number in row[1:]) == len(ended)
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")


def test_an_arm_has_one_colour_in_every_figure(out: Path) -> None:
    found = SweepFolder.read(out)
    layers = [
        (name, layer)
        for name, chart in collect_charts(build_report(found)).items()
        for panel in chart.panels
        for layer in panel.layers
        if isinstance(layer, Points | Lines)
    ]
    seen = []
    for arm in found.comparisons.arms:
        legends = (
            f"{arm.name} confirmed, n = 3",
            f"best confirmed: {arm.name}",
            f"best of the search: {arm.name}",
        )
        places = [(name, layer.colour) for name, layer in layers if layer.name in legends]
        places += [
            (name, layer.colour)
            for name, layer in layers
            if name == "confirmed" and isinstance(layer, Points) and layer.tooltips
            if layer.tooltips[0].startswith(f"{arm.name}: ")
        ]
        assert {"confirmed", "shape", "pareto_params"} <= {name for name, _ in places}
        (colour,) = {colour for _, colour in places}
        seen.append((arm.is_baseline, colour))
    assert sorted(seen) == [(False, "blue"), (False, "green"), (True, "ink")]


def _faces(out: Path) -> dict[str, bytes]:
    files = [out / "report.md", out / "report.html", *(out / "figures").iterdir()]
    return {path.name: path.read_bytes() for path in files}


def test_the_closing_lines_say_verdict_and_paths(out: Path) -> None:
    closing, _ = said(out)
    assert "test/blank_accuracy" in closing and str(out / "report.html") in closing
    assert closing.splitlines()[-1].endswith(f"python -m hrm.train config={out / 'best.yaml'}")


def test_best_yaml_is_the_best_arm_and_says_so(out: Path) -> None:
    best = SweepFolder.read(out).comparisons.best
    assert best is not None
    run, written = load_run_config(out / "best.yaml"), read_yaml(out / "best.yaml")["sweep"]
    assert run.to_dict() == best.config
    assert written["arm"] == best.name and written["n"] == 3
    assert written["means"]["test/exact_accuracy"] == best.compute_mean("test/exact_accuracy")
    assert run.seed in written["seeds"]


def test_notes_on_the_course_of_the_sweep_are_reported(out: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(out, tmp_path / "noted")
    note = "The sweep was interrupted after 7 of about 36 jobs."
    write_metadata(dataclasses.replace(read_metadata(moved), notes=[note]), moved)
    assert note in section(said(moved)[1], "Verdict")


def _presets_win(job: Job, fraction: float) -> float:
    return plausible(job, fraction) + (0.2 if job.arm == "tiny_demo" else -0.2)


def test_a_preset_that_wins_is_not_called_a_find(tmp_path: Path) -> None:
    run_sweep(tmp_path, _presets_win, num_trials=6)
    write_best(tmp_path, SweepFolder.read(tmp_path))
    what = read_yaml(tmp_path / "best.yaml")["sweep"]["what"]
    assert what == "the preset tiny_demo itself: no searched configuration scored better on fresh seeds"
    closing, _ = said(tmp_path)
    assert "is worse than tiny_demo" in closing
    assert "the best arm was the preset tiny_demo itself" in closing


def test_without_confirmations_the_best_search_trial_is_kept(tmp_path: Path) -> None:
    run_sweep(tmp_path, num_trials=6, confirm=ConfirmConfig(finalists=0))
    write_best(tmp_path, SweepFolder.read(tmp_path))
    assert "not confirmed" in read_yaml(tmp_path / "best.yaml")["sweep"]["what"]
    closing, text = said(tmp_path)
    assert "No verdict: no searched configuration was confirmed on fresh seeds." in closing
    assert "confirmed.png" not in text


def test_a_sweep_in_which_everything_fails_still_reports(tmp_path: Path) -> None:
    def fail(job: Job, fraction: float) -> float:
        raise MemoryError("out of memory")

    run_sweep(tmp_path, fail, num_trials=4)
    found = SweepFolder.read(tmp_path)
    assert write_best(tmp_path, found) is None
    assert "No verdict" in write_report(tmp_path, found)
    text = (tmp_path / "report.md").read_text()
    assert "- failed 7 time(s): MemoryError: out of memory (see `errors/0.txt`)" in text
    assert "No search trial was completed." in text
    assert {path.stem for path in (tmp_path / "figures").iterdir()} <= {"compute"}


def test_a_smoke_test_gives_no_verdict(tmp_path: Path) -> None:
    class Smoke(Puzzles):
        name = "sudoku4"
        supports_verdict = False

    run_sweep(tmp_path, dataset=Smoke(), num_trials=4)
    closing, text = said(tmp_path)
    assert "No verdict: sudoku4 is a smoke test" in closing
    rows = cells(section(text, "Verdict"))
    assert {row[-1] for row in rows if row[-1].startswith("**")} == {"**no verdict**"}


OTHER_SPACES = {
    "cycles": {
        "parameters": {"H_cycles": {"int": [1, 3]}, "L_cycles": {"int": [1, 3]}, "lr": [1e-3, 3e-3]},
        "fixed": {"hidden_size": 64, "num_heads": 4, "H_layers": 1, "L_layers": 1},
    },
    "mixed": {
        "parameters": {
            "expansion": {"float": [1, 4]},
            "pos_encodings": ["rope", "learned"],
            "q_continue": [True, False],
            "lr": {"log": [1e-4, 1e-2]},
        },
        "fixed": {"hidden_size": 64, "num_heads": 4, "H_layers": 1, "L_layers": 1, "mlp_multiple": 32},
    },
}


@pytest.mark.parametrize(
    ("name", "objective"), [("cycles", "valid/loss"), ("mixed", "valid/exact_accuracy_auc")]
)
def test_other_spaces_and_objectives_are_drawn(tmp_path: Path, name: str, objective: str) -> None:
    space = {"name": name, "question": "What helps?", **OTHER_SPACES[name]}
    short = {"num_trials": 8, "train": SweepTrainConfig(steps=200), "pruner": {"name": "none"}}
    run_sweep(tmp_path, space=space, objective=objective, budget=BudgetConfig(), **short)
    charts = collect_charts(build_report(SweepFolder.read(tmp_path)))
    assert set(NAMES) - set(charts) <= {"width_depth"}
    for chart in charts.values():
        assert draw_figure(chart).axes
    assert "## Hyperparameter importance" in said(tmp_path)[1]


def _headline(arms: dict, **changes: Any) -> list[str]:
    return describe_verdict(build_folder(trials(arms, **changes)))


GOOD, POOR = [0.90, 0.91, 0.92], [0.70, 0.71, 0.72]


def test_words_for_the_presets_own_architecture() -> None:
    same = {"trial 1": "preset"}
    arms = {"trial 1": GOOD, "preset": POOR}
    lead, *_ = _headline(arms, architecture=same, **{"p.lr": {"trial 1": 3e-3}})
    assert "trial 1 has the architecture of preset: a difference is to the credit of lr" in lead
    assert "lr (0.003 against 0.001), not of the shape." in lead
    lead, *_ = _headline(arms, architecture=same)
    assert "trial 1 is preset itself: the same architecture and training values." in lead


BETTER = (
    "trial 1 (H_layers=1 lr=0.001) is better than preset: "
    "test/blank_accuracy 0.910 ± 0.025 against 0.710 ± 0.025, 3 fresh seeds each."
)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (GOOD, POOR, BETTER),
        (GOOD, POOR, "test/exact_accuracy: 0.910 ± 0.025 against 0.710 ± 0.025 of preset, better."),
        (POOR, POOR, "A true difference of 0.035 would have been detected four times in five."),
        (POOR, POOR, "Detecting the observed one would need more than 1,000 seeds per arm."),
        ([0.9, None], POOR, "Not enough evidence: trial 1 has 1 completed confirmations, preset 3."),
        (GOOD, None, "No verdict: there is no confirmed baseline to compare trial 1 with."),
        ([0.9, 0.91, None], POOR, "1 of 3 confirmation runs of trial 1 failed (Diverged: loss is nan)."),
    ],
)
def test_words_for_every_outcome(first: list, second: list | None, said: str) -> None:
    arms = {"trial 1": first} if second is None else {"trial 1": first, "preset": second}
    assert said in " ".join(_headline(arms))


def test_unequal_sizes_are_pointed_out() -> None:
    lead, *_ = _headline({"trial 1": GOOD, "preset": POOR}, params={"trial 1": 843})
    assert "Not iso-parameter: trial 1 uses 84.3% of the budget." in lead


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 FLOPs"),
        (999, "999 FLOPs"),
        (1234, "1.23 kFLOPs"),
        (3.09e12, "3.09 TFLOPs"),
        (9.996e14, "1 PFLOPs"),
    ],
)
def test_flops_have_at_most_three_digits(value: float, text: str) -> None:
    assert format_flops(value) == text


def test_fullness_is_never_rounded_up() -> None:
    assert (
        format_percent(0.94999) == "94.9%" and format_percent(1.0) == "100.0%" and format_percent(None) == "–"
    )


def test_a_sweep_that_runs_is_reported_as_far_as_it_is(out: Path, tmp_path: Path) -> None:
    """What the tables hold after n jobs, for several n; files of the next one are being written meanwhile."""
    moved = shutil.copytree(out, tmp_path / "running")
    shutil.rmtree(moved / "answers")
    rows = read_trials(moved).to_pylist()
    for ended in (15, 2, 0):
        for row in rows[ended + 1 :]:  # a job's curve is there before its row
            (moved / "curves" / f"{row['number']}.parquet").unlink(missing_ok=True)
        for half in ("curves/.99.parquet.tmp", ".trials.parquet.tmp", ".report.html.tmp"):
            (moved / half).write_bytes((moved / "trials.parquet").read_bytes()[:100])
        kept = [{name: value for name, value in row.items() if value is not None} for row in rows[:ended]]
        pq.write_table(build_table(TRIAL_COLUMNS, kept), moved / "trials.parquet")
        closing, text = said(moved)
        assert "No verdict: no searched configuration was confirmed on fresh seeds." in closing
        assert spent_runs(text) == ended


def spent_runs(text: str) -> int:
    return int(next(row[1] for row in cells(section(text, "Compute spent")) if row[0] == "all"))
