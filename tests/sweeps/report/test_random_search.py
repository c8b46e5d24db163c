"""A report says whether the search beat random search of the same compute."""

from __future__ import annotations

from pathlib import Path

from sweeps.analysis.best import write_best
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.config import BaselineConfig
from sweeps.report.markdown import render_blocks
from sweeps.report.sections.search import build_outcomes
from sweeps.report.sections.verdict import build_reading_guide, build_verdict, describe_verdict
from tests.sweeps.synthetic_sweep import run_sweep


def test_random_search_is_held_against_the_finalists(tmp_path: Path) -> None:
    random = BaselineConfig(presets=None, trials=1, random=True)
    folder = SweepFolder.read(run_sweep(tmp_path, num_trials=8, baseline=random))
    kinds = [arm.kind for arm in folder.comparisons.arms]
    assert kinds == ["finalist", "finalist", "preset", "random"]
    pairs = {(pair.finalist.name, pair.baseline.name) for pair in folder.comparisons.all}
    assert len(pairs) == 4 and {baseline for _, baseline in pairs} == {"tiny_demo", "random search"}
    (pair,) = [
        sentence for sentence in describe_verdict(folder) if "random search: test/blank_accuracy" in sentence
    ]
    assert "3 fresh seeds each" in pair
    said = "\n".join(render_blocks([*build_verdict(folder).blocks, *build_reading_guide(folder).blocks]))
    assert "| random search |" in said and "| tiny_demo (preset) |" in said
    assert "`random search` is the best of random configurations" in said
    ended = "\n".join(render_blocks(build_outcomes(folder).blocks))
    assert f"| random | {len(folder.select('random'))} | 0 | 0 |" in ended
    spent = {kind: sum(row["train_flops"] for row in folder.select(kind)) for kind in ("search", "random")}
    assert 0 < spent["random"] <= spent["search"]
    assert write_best(tmp_path, folder)


def test_without_random_search_nothing_is_said_of_it(tmp_path: Path) -> None:
    folder = SweepFolder.read(run_sweep(tmp_path, num_trials=4))
    said = render_blocks([*build_outcomes(folder).blocks, *build_reading_guide(folder).blocks])
    assert not any("random" in text for text in said)
