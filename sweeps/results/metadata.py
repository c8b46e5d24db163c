"""`sweep.json`: a sweep's question, budget, data and code, for the readers of its folder.

It is written before the first trial, and again at the end.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hrm.system.files import write_text_atomically
from hrm.system.machine import count_cpus, get_memory_bytes
from sweeps.errors import OutputError
from sweeps.results.schema import SCHEMA_VERSION
from sweeps.search.objectives import Objective, Objectives, parse_objectives
from sweeps.space.budget import Budget
from sweeps.space.constraints import PARAMS
from sweeps.space.space import hash_space

if TYPE_CHECKING:
    from hrm.data.base import Dataset
    from sweeps.config import SweepConfig
    from sweeps.scheduler.scheduler import Scheduler
    from sweeps.space.candidates import Candidates

METADATA = "sweep.json"
PACKAGES = ("hrm-sweeps", "torch", "ray", "optuna", "numpy")


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What all rows of a sweep share."""

    commit: str | None
    """Git commit of the code, null outside a repository."""
    dirty: bool | None
    """Whether tracked files differ from that commit, null outside a repository."""
    versions: dict[str, str | None]
    """Versions of Python and of the packages that influence results; null for one that is not installed."""
    hardware: dict[str, Any]
    """`cpu` model, usable `cores` and `memory_bytes`, names of `gpus`."""

    @classmethod
    def collect(cls) -> Provenance:
        """Collect the provenance of what this process runs."""
        commit, dirty = read_git_state(Path(__file__))
        return cls(commit=commit, dirty=dirty, versions=_find_versions(), hardware=_describe_hardware())

    def to_columns(self) -> dict[str, Any]:
        """Return the values as columns of the trials table."""
        return {
            "commit": self.commit,
            "dirty": self.dirty,
            "versions": json.dumps(self.versions),
            "hardware": json.dumps(self.hardware),
        }


def read_git_state(file: Path) -> tuple[str | None, bool | None]:
    """Return commit and dirtiness of the repository that tracks `file`; (None, None) if none does.

    A copy installed inside somebody else's repository is not tracked there: its commit would mean nothing.
    """
    git = ("git", "-C", str(file.parent))
    if _run(*git, "ls-files", "--error-unmatch", file.name) is None:
        return None, None
    changes = _run(*git, "status", "--porcelain", "--untracked-files=no")
    return _run(*git, "rev-parse", "HEAD"), None if changes is None else bool(changes)


def _run(*command: str) -> str | None:
    """Return what a command prints, None if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _find_versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def _describe_hardware() -> dict[str, Any]:
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        gpus.append("Apple MPS")
    return {"cpu": _find_cpu_model(), "cores": count_cpus(), "memory_bytes": get_memory_bytes(), "gpus": gpus}


def _find_cpu_model() -> str:
    """Return the processor's own name if the system knows it, else its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    if platform.system() == "Darwin":
        names = [_run("sysctl", "-n", "machdep.cpu.brand_string") or ""]
    return next(filter(None, names), "") or platform.processor() or platform.machine()


@dataclass(frozen=True, kw_only=True)
class PresetEntry:
    """A preset, which is a baseline or left out for a reason."""

    name: str
    params: int | None
    """Exact number of parameters for this task; null if it cannot be built."""
    left_out: str | None
    """Reason why it is not trained; null for a baseline."""


@dataclass(frozen=True, kw_only=True)
class SweepMetadata:
    """What a sweep asks, and with what code, data and budget, as plain values."""

    name: str
    """The space's."""
    question: str
    command: list[str]
    """Arguments that start the same sweep again, without the output folder."""
    objective: str
    """What the search optimises, e.g. `valid/blank_accuracy`; the first one if there are several."""
    test_name: str
    """The statistical test of the verdict, named before the sweep starts."""
    task: str
    supports_verdict: bool
    """False for smoke tests."""
    data_fingerprint: str
    num_valid: int
    """Examples in the validation split: puzzles, or sequences of text."""
    num_test: int
    max_params: int | None
    min_params: int | None
    parameters: list[str]
    """Searched names, in the space's order."""
    derived: list[str]
    space_hash: str
    space_counts: dict[str, int | None]
    """Size of the space: tuples, architectures, feasible ones; null if infinite."""
    presets: list[PresetEntry]
    provenance: Provenance
    started_at: str
    """UTC, ISO 8601."""
    other_bounds: list[str] = field(default_factory=list)
    """Bounds on anything but parameters, such as `budget.max_memory=64,000,000`."""
    objectives: list[str] = field(default_factory=list)
    """All objectives if there are several, else empty."""
    reference_point: list[float] = field(default_factory=list)
    """Reference point of their hypervolume."""
    notes: list[str] = field(default_factory=list)
    """Sentences for the report about the course of the sweep, known when it ends."""

    @property
    def sweep_id(self) -> str:
        """An identifier that no other sweep has, always the same for this one."""
        return hashlib.sha256(f"{self.space_hash} {self.started_at}".encode()).hexdigest()[:8]

    @property
    def unique_name(self) -> str:
        """The sweep's name on storage that sweeps share, and in W&B."""
        return f"{self.name}-{self.sweep_id}"

    @property
    def budget(self) -> Budget:
        return Budget.of(max_params=self.max_params, min_params=self.min_params)

    @property
    def goal(self) -> Objective:
        """The objective, or the first of several."""
        return Objective.parse(self.objective)

    @property
    def goals(self) -> Objectives:
        """All objectives."""
        if not self.objectives:
            return Objectives((self.goal,))
        return Objectives(parse_objectives(self.objectives), tuple(self.reference_point))

    @property
    def value_names(self) -> list[str]:
        """Names of the `p.` columns."""
        return [*self.parameters, *self.derived]


def build_metadata(
    config: SweepConfig,
    candidates: Candidates,
    scheduler: Scheduler,
    dataset: Dataset,
    command: Sequence[str],
    test_name: str,
) -> SweepMetadata:
    """Describe a sweep that is about to start.

    Args:
        command: arguments of `run_sweep.py` that start the same sweep again.
        test_name: the statistical test of the verdict.
    """
    space, budget = candidates.space, candidates.budget
    baselines = {name: (preset.num_params, None) for name, preset in scheduler.presets.items()}
    left_out = {place.name: (place.num_params, place.violation) for place in scheduler.left_out}
    return SweepMetadata(
        name=space.name,
        question=space.question,
        command=list(command),
        objective=config.objective,
        objectives=list(config.objectives or ()),
        reference_point=list(Objectives.from_config(config, candidates).reference),
        test_name=test_name,
        task=dataset.name,
        supports_verdict=dataset.supports_verdict,
        data_fingerprint=dataset.fingerprint,
        num_valid=len(dataset.valid),
        num_test=len(dataset.test),
        max_params=budget.max_params,
        min_params=budget.min_params,
        other_bounds=[str(bound) for bound in budget.bounds if bound.constraint is not PARAMS],
        parameters=list(space.parameters),
        derived=[*([space.filled] if space.filled else []), *space.derived],
        space_hash=hash_space(config.space),
        space_counts={
            "tuples": candidates.num_tuples,
            "architectures": candidates.num_architectures,
            "feasible_architectures": candidates.num_feasible_architectures,
            "feasible_trials": candidates.num_feasible_trials,
        },
        presets=[
            PresetEntry(name=name, params=params, left_out=reason)
            for name, (params, reason) in {**baselines, **left_out}.items()
        ],
        provenance=Provenance.collect(),
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def restore_metadata(out: Path, dataset: Dataset) -> SweepMetadata | None:
    """Return the metadata of a sweep that is resumed, with today's code and machine; None in a new folder.

    Raises:
        OutputError: the data are not those that the sweep was started with.
    """
    if not (out / METADATA).exists():
        return None
    metadata = read_metadata(out)
    if metadata.data_fingerprint != dataset.fingerprint:
        raise OutputError(
            "resume",
            str(out),
            f"needs the data that it was started with: their fingerprint was {metadata.data_fingerprint}, "
            f"and is {dataset.fingerprint} now",
            "Bring the data back, or start a new sweep in another folder",
        )
    return dataclasses.replace(metadata, provenance=Provenance.collect(), notes=[])


def write_metadata(metadata: SweepMetadata, out: Path) -> None:
    """Write `sweep.json` into the sweep's folder."""
    values = {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(metadata)}
    write_text_atomically(out / METADATA, json.dumps(values, indent=2) + "\n")


def read_metadata(out: Path) -> SweepMetadata:
    """Read `sweep.json` of the sweep's folder."""
    values: dict[str, Any] = json.loads((out / METADATA).read_text())
    del values["schema_version"]
    presets = [PresetEntry(**preset) for preset in values.pop("presets")]
    return SweepMetadata(presets=presets, provenance=Provenance(**values.pop("provenance")), **values)
