"""How often the verdict is right: identical arms called different, and planted differences found.

    python benchmarks/verdict_power.py [--sweep OUTPUT_FOLDER] [--sweeps 2000] [--seeds 3 5 8]

Draws the scores of two finalists and a baseline over and over and gives them to the verdict's own test. A
false alarm is any finalist called different when none differs; `detected` is how often a finalist that differs by
`planted` is. Rates come with their 95% interval (Wilson); `shared` is the variance that arms share under one
seed. With `--sweep` the spread is that of the sweep's confirmed arms.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from sweeps.analysis.comparison import read_arms
from sweeps.analysis.statistics import (
    ALPHA,
    TEST_NAME,
    Estimate,
    adjust_p_values,
    compute_detectable_difference,
    compute_difference,
)
from sweeps.results.metadata import read_metadata
from sweeps.results.tables import read_trials

NUM_FINALISTS = 2
NUM_PUZZLES = 1000
SPREAD = 0.03
LEVEL = 0.7

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
"""Noise of mean 0 and standard deviation 1."""
Decide = Callable[[np.ndarray], list[bool]]
"""From the scores of one confirmation, [arms, seeds] with the baseline last, to which finalists differ."""


def draw_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw normal noise."""
    return rng.standard_normal(shape)


def draw_skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw most seeds a little above the mean, a few far below, as near a ceiling."""
    return 1 - rng.exponential(1.0, shape)


def draw_two_peaks(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw seeds of which half take off and half do not."""
    return 0.954 * rng.choice([-1.0, 1.0], shape) + 0.3 * rng.standard_normal(shape)


NOISES: dict[str, Draw] = {"normal": draw_normal, "skewed": draw_skewed, "two peaks": draw_two_peaks}


@dataclass(frozen=True)
class Rate:
    """How often something happened, with its 95% interval (Wilson)."""

    hits: int
    total: int

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.share:5.1%} ({low:.1%} to {high:.1%})"

    @property
    def share(self) -> float:
        return self.hits / self.total

    @property
    def interval(self) -> tuple[float, float]:
        found = stats.binomtest(self.hits, self.total).proportion_ci(0.95, method="wilson")
        return float(found.low), float(found.high)


def decide_by_welch(scores: np.ndarray) -> list[bool]:
    """Return the verdict's own decision for each finalist.

    Args:
        scores: [arms, seeds]; the last arm is the baseline.
    """
    *finalists, baseline = scores.tolist()
    found = [compute_difference(finalist, baseline, 1 / NUM_PUZZLES) for finalist in finalists]
    return [p < ALPHA for p in adjust_p_values([difference.p_value for difference in found if difference])]


def decide_by_pairs(scores: np.ndarray) -> list[bool]:
    """Return what a t-test paired by seed would have decided."""
    return [
        p < ALPHA for p in adjust_p_values(stats.ttest_rel(scores[:-1], scores[-1:], axis=1).pvalue.tolist())
    ]


def draw_scores(
    noise: Draw, seeds: int, planted: float, shared: float, spread: float, sweeps: int
) -> np.ndarray:
    """Draw scores [sweeps, arms, seeds] of simulated confirmations, the baseline last.

    Args:
        noise: of one run.
        seeds: fresh seeds of each arm.
        planted: how much better the first finalist truly is.
        shared: share of the variance that the arms have in common under one seed, 0 to 1.
        spread: standard deviation of single runs.
        sweeps: how many.
    """
    rng = np.random.default_rng([seeds, sweeps])
    own = noise(rng, (sweeps, NUM_FINALISTS + 1, seeds))
    common = noise(rng, (sweeps, 1, seeds))
    scores = LEVEL + spread * (np.sqrt(1 - shared) * own + np.sqrt(shared) * common)
    scores[:, 0] += planted
    return scores


def measure_false_alarms(scores: np.ndarray, decide: Decide = decide_by_welch) -> Rate:
    """Measure how often at least one finalist is called different from the baseline."""
    return Rate(sum(any(decide(one)) for one in scores), len(scores))


def measure_detections(scores: np.ndarray, decide: Decide = decide_by_welch) -> Rate:
    """Measure how often the first finalist is called different from the baseline."""
    return Rate(sum(decide(one)[0] for one in scores), len(scores))


def compute_planted_difference(seeds: int, spread: float) -> float:
    """Return the difference that the report calls detectable for arms of this spread."""
    arm = Estimate(n=seeds, mean=LEVEL, sd=spread, half_width=None)
    return compute_detectable_difference(arm, arm, NUM_FINALISTS)


def measure_spread(out: Path) -> float:
    """Return the pooled standard deviation of single runs in a sweep's confirmed arms, in its first test metric."""
    metadata = read_metadata(out)
    arms = [arm.get_scores(metadata.goal.test_metric) for arm in read_arms(read_trials(out), metadata.budget)]
    spread = [(np.var(scores, ddof=1), len(scores) - 1) for scores in arms if len(scores) > 1]
    return float(np.sqrt(np.average([v for v, _ in spread], weights=[n for _, n in spread])))


def main() -> None:
    """Print the rates of every noise, shared variance and number of seeds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sweep", type=Path, help="take the spread of this sweep's confirmed arms")
    parser.add_argument("--sweeps", type=int, default=2000, help="simulated sweeps a row")
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 5, 8], help="seeds of an arm")
    given = parser.parse_args()
    spread = SPREAD if given.sweep is None else measure_spread(given.sweep)
    print(TEST_NAME)
    print(f"{NUM_FINALISTS} finalists, one baseline, spread of single runs {spread:.4f}")
    print(f"{given.sweeps} simulated sweeps per row\n")
    print(f"{'':62}{'a paired test instead':>31}")
    print(
        f"{'noise':9} {'shared':>6} {'n':>2} {'planted':>8}  {'false alarms':23} {'detected':24} alarms detected"
    )
    for name, noise in NOISES.items():
        for shared in (0.0, 0.5):
            for seeds in given.seeds:
                planted = compute_planted_difference(seeds, spread)
                same = draw_scores(noise, seeds, 0.0, shared, spread, given.sweeps)
                moved = draw_scores(noise, seeds, planted, shared, spread, given.sweeps)
                rates = f"{measure_false_alarms(same)!s:23} {measure_detections(moved)!s:24}"
                pairs = (
                    measure_false_alarms(same, decide_by_pairs),
                    measure_detections(moved, decide_by_pairs),
                )
                paired = "  ".join(f"{rate.share:6.1%}" for rate in pairs)
                print(f"{name:9} {shared:6.0%} {seeds:2} {planted:8.4f}  {rates} {paired}", flush=True)


if __name__ == "__main__":
    main()
