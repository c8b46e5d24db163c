"""The presets that a search is compared with: which of them fit, and the learning rates they are trained at."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from hrm.config.presets import list_presets
from hrm.models.registry import get_family
from sweeps.config import SweepConfig
from sweeps.events import Job, Kind
from sweeps.scheduler.phases.base import QueuePhase, make_job
from sweeps.search.seeds import derive_baseline_seed
from sweeps.space.candidates import LEARNING_RATE, Candidate, Candidates, PresetFit


def choose_presets(
    names: Iterable[str] | None, candidates: Candidates, memory_bytes: int | None
) -> tuple[dict[str, Candidate], list[PresetFit]]:
    """Return the presets to train as baselines, by name, and those left out with the reason.

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
            misfit = _describe_memory_excess(preset, memory_bytes) or _describe_twin(preset, chosen)
        if misfit is None:
            chosen[name] = preset
        else:
            left_out.append(dataclasses.replace(place, violation=misfit))
    return chosen, left_out


class BaselinePhase(QueuePhase):
    """Trains every preset at its first learning rate, then every preset at its second, and so on.

    Its jobs depend on nothing, and so fill the workers that a deterministic search leaves idle while it waits for a
    slow trial.

    Args:
        presets: by name.
    """

    kind: Kind = "baseline"
    phrase = "{num} baseline trials"

    def __init__(self, config: SweepConfig, candidates: Candidates, presets: Mapping[str, Candidate]) -> None:
        super().__init__(config, candidates)
        self._presets = presets
        self.all_jobs = self._jobs = self._make_all_jobs()
        """Of all sessions, numbered from 0 in the first."""

    def add_jobs(self, config: SweepConfig, first_number: int) -> list[Job]:
        """Add the trials that a longer search asks for, numbered from above all other jobs, and return them."""
        self._config = config
        more = self._make_all_jobs()[len(self.all_jobs) :]
        more = [dataclasses.replace(job, number=first_number + i) for i, job in enumerate(more)]
        self.all_jobs += more
        return more

    def _make_all_jobs(self) -> list[Job]:
        jobs: list[Job] = []
        rates = spread_rates(self._candidates.learning_rates, self._config.num_baseline_trials)
        for rate, round_index in rates:
            seed = derive_baseline_seed(self._config.seed, round_index)
            for name in self._presets:
                preset = self._candidates.preset(name, rate)
                params = {**preset.values, LEARNING_RATE: rate}
                jobs.append(
                    make_job(
                        self._config,
                        preset,
                        seed=seed,
                        number=len(jobs),
                        kind=self.kind,
                        arm=name,
                        params=params,
                    )
                )
        return jobs


def spread_rates(rates: Sequence[float], num: int) -> list[tuple[float, int]]:
    """Return `num` of the rates, each with its round: the middle one first, then always the one that is farthest from
    those taken, so that even a few trials span the grid. Further rounds repeat the order.

    >>> spread_rates([1e-4, 3e-4, 1e-3], 4)
    [(0.0003, 0), (0.0001, 0), (0.001, 0), (0.0003, 1)]
    """
    taken = [(len(rates) - 1) // 2]
    while len(taken) < len(rates):
        rest = [index for index in range(len(rates)) if index not in taken]
        taken.append(max(rest, key=lambda index: min(abs(index - other) for other in taken)))
    return [(rates[taken[i % len(taken)]], i // len(taken)) for i in range(num)]


def _describe_memory_excess(preset: Candidate, memory_bytes: int | None) -> str | None:
    run = preset.run
    needed = get_family(run.family).count(run.model, run.train.batch_size, run.train).total_bytes
    if memory_bytes is None or needed <= memory_bytes:
        return None
    return f"needs {needed / 2**30:.2f} GiB of memory, a trial has {memory_bytes / 2**30:.2f} GiB"


def _describe_twin(preset: Candidate, chosen: Mapping[str, Candidate]) -> str | None:
    for name, other in chosen.items():
        if other.architecture == preset.architecture:
            return f"the same model as {name} under this sweep's rules"
    return None
