"""The presets that a search is held against: which fit, and at which learning rates they are trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

from hrm.config.presets import list_presets
from hrm.models.registry import get_family
from sweeps.config import SweepConfig
from sweeps.events import Job
from sweeps.search.seeds import baseline_seed
from sweeps.space.candidates import LEARNING_RATE, Candidate, Candidates, PresetFit


def choose_presets(
    names: Iterable[str] | None, candidates: Candidates, memory_bytes: int | None
) -> tuple[dict[str, Candidate], list[PresetFit]]:
    """The presets to train as baselines, by name, and those left out with the reason.

    Args:
        names: presets to consider; None is every one of the sweep's family.
        memory_bytes: what one trial may use, weights to activations; None is no bound.

    Raises:
        UnknownNameError: a name is no preset.
    """
    chosen: dict[str, Candidate] = {}
    left_out: list[PresetFit] = []
    for name in list_presets(candidates.family) if names is None else dict.fromkeys(names):
        place = candidates.fit_preset(name)
        misfit = place.violation
        if misfit is None:
            preset = candidates.preset(name)
            misfit = _too_large(preset, memory_bytes) or _repeats(preset, chosen)
        if misfit is None:
            chosen[name] = preset
        else:
            left_out.append(dataclasses.replace(place, violation=misfit))
    return chosen, left_out


def baseline_jobs(config: SweepConfig, candidates: Candidates, presets: Iterable[str]) -> Iterator[Job]:
    """Their jobs, numbered from 0: every preset at its first rate, then at its second, ..."""
    rates = spread_rates(candidates.learning_rates, num_baseline_trials(config))
    runs = [(name, rate, round_index) for rate, round_index in rates for name in presets]
    for number, (name, rate, round_index) in enumerate(runs):
        preset = candidates.preset(name, rate)
        yield Job(
            number=number,
            kind="baseline",
            arm=name,
            params={**preset.values, LEARNING_RATE: rate},
            run=dataclasses.replace(preset.run, seed=baseline_seed(config.seed, round_index)),
            num_params=preset.num_params,
            flops_per_step=preset.flops_per_step,
        )


def num_baseline_trials(config: SweepConfig) -> int:
    """Trials of each preset: a quarter of the search, at least 3, unless told otherwise."""
    return config.baseline.trials or max(3, -(-config.num_trials // 4))


def spread_rates(rates: Sequence[float], num: int) -> list[tuple[float, int]]:
    """`num` of the rates, each with the round in which it comes: the middle first, then always the one that
    lies farthest from those taken, so that few trials still span the grid. Further rounds repeat the order.
    """
    taken = [(len(rates) - 1) // 2]
    while len(taken) < len(rates):
        rest = [index for index in range(len(rates)) if index not in taken]
        taken.append(max(rest, key=lambda index: min(abs(index - other) for other in taken)))
    return [(rates[taken[i % len(taken)]], i // len(taken)) for i in range(num)]


def _too_large(preset: Candidate, memory_bytes: int | None) -> str | None:
    run = preset.run
    needed = get_family(run.family).count(run.model, run.train.batch_size, run.train).total_bytes
    if memory_bytes is None or needed <= memory_bytes:
        return None
    return f"needs {needed / 2**30:.2f} GiB of memory, a trial has {memory_bytes / 2**30:.2f} GiB"


def _repeats(preset: Candidate, chosen: Mapping[str, Candidate]) -> str | None:
    for name, other in chosen.items():
        if other.architecture == preset.architecture:
            return f"the same model as {name} under this sweep's rules"
    return None
