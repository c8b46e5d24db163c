"""`sweep.json`: what the tables lack and a reader of the folder needs.

Written before the first job, and again at the end.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hrm.system.files import write_text_atomically
from sweeps.errors import OutputError
from sweeps.results.provenance import Provenance
from sweeps.results.schema import SCHEMA_VERSION
from sweeps.search.objectives import Objective, Objectives, parse
from sweeps.space.constraints import PARAMS, Budget
from sweeps.space.space import space_hash

if TYPE_CHECKING:
    from hrm.data.base import Dataset
    from sweeps.config import SweepConfig
    from sweeps.scheduler.scheduler import Scheduler
    from sweeps.space.candidates import Candidates

FILE_NAME = "sweep.json"


@dataclass(frozen=True, kw_only=True)
class PresetEntry:
    """What became of a preset: a baseline, or left out for a reason."""

    name: str
    params: int | None
    """Exact size as built for this task; null where it cannot be built."""
    left_out: str | None
    """Why it is not trained; null when it is a baseline."""


@dataclass(frozen=True, kw_only=True)
class SweepMetadata:
    """A sweep's question and setting, as plain values."""

    name: str
    """Of the space."""
    question: str
    command: list[str]
    """The arguments that start the same sweep again, without the output folder."""
    objective: str
    """What the search optimises, e.g. `valid/blank_accuracy`; the first of several."""
    test_name: str
    """The statistical test, named before the sweep starts."""
    task: str
    supports_verdict: bool
    """False for smoke tests."""
    data_fingerprint: str
    num_valid: int
    """Examples of the validation split: puzzles, or sequences of text."""
    num_test: int
    max_params: int | None
    min_params: int | None
    parameters: list[str]
    """Searched names, in the space's order."""
    derived: list[str]
    space_hash: str
    space_counts: dict[str, int | None]
    """Of the space: tuples, architectures, feasible ones; null where not finite."""
    presets: list[PresetEntry]
    provenance: Provenance
    started_at: str
    """UTC, ISO 8601."""
    other_bounds: list[str] = field(default_factory=list)
    """Bounds on anything but parameters, such as `budget.max_memory=64,000,000`."""
    objectives: list[str] = field(default_factory=list)
    """All of several objectives; empty with one."""
    reference_point: list[float] = field(default_factory=list)
    """Where their hypervolume begins."""
    notes: list[str] = field(default_factory=list)
    """What was worth saying of the sweep's course, in sentences; known when it ends."""

    @property
    def sweep_id(self) -> str:
        """The same whenever the same folder is asked, and no other sweep's."""
        return hashlib.sha256(f"{self.space_hash} {self.started_at}".encode()).hexdigest()[:8]

    @property
    def unique_name(self) -> str:
        """What people find it by elsewhere: on storage that sweeps share, in W&B."""
        return f"{self.name}-{self.sweep_id}"

    @property
    def budget(self) -> Budget:
        return Budget(self.max_params, self.min_params)

    @property
    def goal(self) -> Objective:
        """The objective, or the first of several."""
        return Objective.parse(self.objective)

    @property
    def goals(self) -> Objectives:
        """All objectives."""
        if not self.objectives:
            return Objectives((self.goal,))
        return Objectives(parse(self.objectives), tuple(self.reference_point))

    @property
    def value_names(self) -> list[str]:
        """Names of the `p.` columns."""
        return [*self.parameters, *self.derived]


def describe(
    config: SweepConfig,
    candidates: Candidates,
    scheduler: Scheduler,
    dataset: Dataset,
    command: Sequence[str],
    test_name: str,
) -> SweepMetadata:
    """The context of a sweep that is about to start.

    Args:
        command: arguments of `run_sweep.py` that start the same sweep again.
        test_name: the statistical test that will decide.
    """
    space = candidates.space
    entries = [
        PresetEntry(name=name, params=preset.num_params, left_out=None)
        for name, preset in scheduler.presets.items()
    ]
    entries += [
        PresetEntry(name=place.name, params=place.num_params, left_out=place.misfit)
        for place in scheduler.left_out
    ]
    return SweepMetadata(
        name=space.name,
        question=space.question,
        command=list(command),
        objective=config.objective,
        objectives=list(config.objectives or ()),
        reference_point=list(Objectives.of(config, candidates).reference),
        test_name=test_name,
        task=dataset.name,
        supports_verdict=dataset.supports_verdict,
        data_fingerprint=dataset.fingerprint,
        num_valid=len(dataset.valid),
        num_test=len(dataset.test),
        max_params=candidates.budget.max_params,
        min_params=candidates.budget.min_params,
        other_bounds=[str(bound) for bound in candidates.budget.bounds if bound.measure is not PARAMS],
        parameters=list(space.parameters),
        derived=[*([space.filled] if space.filled else []), *space.derived],
        space_hash=space_hash(config.space),
        space_counts={
            "tuples": candidates.num_tuples,
            "architectures": candidates.num_architectures,
            "feasible_architectures": candidates.num_feasible_architectures,
            "feasible_trials": candidates.num_feasible_trials,
        },
        presets=entries,
        provenance=Provenance.collect(),
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def restore(out: Path, dataset: Dataset) -> SweepMetadata | None:
    """The context of a sweep that goes on in this folder, with the code and machine of now; None in a new one.

    Raises:
        OutputError: the data are no longer those that the sweep began with.
    """
    if not (out / FILE_NAME).exists():
        return None
    metadata = read(out)
    if metadata.data_fingerprint != dataset.fingerprint:
        raise OutputError(
            "resume", str(out),
            f"needs the data that it began with: their fingerprint was {metadata.data_fingerprint}, "
            f"and is {dataset.fingerprint} now",
            "Bring the data back, or start a new sweep in another folder",
        )  # fmt: skip
    return dataclasses.replace(metadata, provenance=Provenance.collect(), notes=[])


def write(metadata: SweepMetadata, out: Path) -> None:
    """Writes `sweep.json` into the sweep's folder."""
    text = json.dumps({"schema_version": SCHEMA_VERSION, **dataclasses.asdict(metadata)}, indent=2)
    write_text_atomically(out / FILE_NAME, text + "\n")


def read(out: Path) -> SweepMetadata:
    """The context that `write` left in the folder."""
    values: dict[str, Any] = json.loads((out / FILE_NAME).read_text())
    del values["schema_version"]
    presets = [PresetEntry(**preset) for preset in values.pop("presets")]
    return SweepMetadata(presets=presets, provenance=Provenance(**values.pop("provenance")), **values)
