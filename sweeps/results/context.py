"""`sweep.json`: what the tables lack and a reader of the folder needs. Written once, before the first job."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeps.objective import Objective
from sweeps.results.files import write_atomically
from sweeps.results.provenance import Provenance
from sweeps.results.schema import SCHEMA_VERSION

FILE_NAME = "sweep.json"


@dataclass(frozen=True, kw_only=True)
class PresetPlace:
    """What became of a preset: a baseline, or left out for a reason."""

    name: str
    params: int | None
    """Exact size as built for this task; null where it cannot be built."""
    left_out: str | None
    """Why it is not trained; null when it is a baseline."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """A sweep's question and setting, as plain values."""

    name: str
    """Of the space."""
    question: str
    command: list[str]
    """The arguments that start the same sweep again, without the output folder."""
    objective: str
    """What the search optimises, e.g. `valid/blank_accuracy`."""
    test_name: str
    """The statistical test, named before the sweep starts."""
    task: str
    supports_verdict: bool
    """False for smoke tests."""
    data_fingerprint: str
    num_valid: int
    """Puzzles of the validation split."""
    num_test: int
    max_params: int | None
    min_params: int | None
    parameters: list[str]
    """Searched names, in the space's order."""
    derived: list[str]
    space_hash: str
    space_counts: dict[str, int | None]
    """Of the space: tuples, architectures, feasible ones; null where not finite."""
    presets: list[PresetPlace]
    provenance: Provenance
    started_at: str
    """UTC, ISO 8601."""

    @property
    def goal(self) -> Objective:
        return Objective.parse(self.objective)

    @property
    def value_names(self) -> list[str]:
        """Names of the `p.` columns."""
        return [*self.parameters, *self.derived]


def write(context: Context, out: Path) -> None:
    """Writes `sweep.json` into the sweep's folder."""
    text = json.dumps({"schema_version": SCHEMA_VERSION, **dataclasses.asdict(context)}, indent=2)
    write_atomically(out / FILE_NAME, lambda path: _write_text(path, text))


def read(out: Path) -> Context:
    """The context that `write` left in the folder."""
    values: dict[str, Any] = json.loads((out / FILE_NAME).read_text())
    del values["schema_version"]
    presets = [PresetPlace(**preset) for preset in values.pop("presets")]
    return Context(presets=presets, provenance=Provenance(**values.pop("provenance")), **values)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text + "\n", encoding="utf-8")
