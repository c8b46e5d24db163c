"""The Python API: `sweeps.run` runs what `run_sweep.py` runs, `sweeps.load` reads the folder that it leaves."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from hrm.config.errors import ConfigError
from hrm.config.run_config import RunConfig
from hrm.config.schema import write_yaml
from sweeps.analysis.comparison import Comparison
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.cli.compose import compose_sweep
from sweeps.report.sections.verdict import describe_verdict
from sweeps.results.tables import check_is_sweep, read_curves, read_trials
from sweeps.scheduler.resume import flatten
from sweeps.space.space import NAMED

_PLAIN = re.compile(r"[\w./:+-]+")
"""A text that means the same to Hydra with and without quotes."""


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """What a sweep has found."""

    path: Path
    """The sweep's folder."""
    trials: pa.Table
    """`trials.parquet`: a row for each trial. `trials.to_pandas()` makes a data frame of it."""
    curves: pa.Table
    """`curves/`: a row for each validation of each trial."""
    comparisons: list[Comparison]
    """Each confirmed configuration against each baseline, on fresh seeds and the test split."""
    verdict: str
    """The report's conclusion, in a sentence."""
    best_config: RunConfig | None
    """The configuration that is also in `best.yaml`; None if no run has completed."""


def run(space: str | Path | Mapping[str, Any], **options: Any) -> SweepResult:
    """Run a sweep, as `run_sweep.py` does, and return what it has found.

    Args:
        space: the name of a space, the path of its YAML file, or what such a file holds.
        options: the options of the command line. A section is a mapping, `budget={"max_params": "1M"}`, or its
            options have dotted names, `**{"budget.max_params": "1M"}`.

    Raises:
        UserError: the space, an option, the data, the machine or the output folder is at fault.
        KeyboardInterrupt: the sweep was asked to stop; its folder can be loaded, and resumed.
    """
    from sweeps import sweep

    given = name_options(options)
    with tempfile.TemporaryDirectory() as folder:
        source = named = str(space)
        if isinstance(space, Mapping):
            named = f"{space.get('name', 'space')}.yaml"
            source = f"{folder}/{named}"
            write_yaml(dict(space), Path(source))
        config = compose_sweep([f"space={source}", *given])
    if config.dry_run:
        raise ConfigError("dry_run", True, "leaves no sweep to load", "Use run_sweep.py for a dry run")
    return load(sweep.run(config, command=[f"space={named}", *given]))


def load(folder: str | Path) -> SweepResult:
    """Read what a sweep has found, also while it runs.

    Raises:
        OutputError: there is no sweep in the folder.
    """
    path = Path(folder).expanduser().absolute()
    check_is_sweep(path)
    content = SweepFolder.read(path)
    best = content.best_config
    return SweepResult(
        path=path,
        trials=read_trials(path),
        curves=read_curves(path),
        comparisons=content.comparisons.all,
        verdict=describe_verdict(content)[0],
        best_config=None if best is None else RunConfig.from_dict(best),
    )


def name_options(options: Mapping[str, Any]) -> list[str]:
    """Return the command line's arguments for options of Python.

    >>> name_options({"num_trials": 8, "task": {"name": "sudoku4", "clues": 6}})
    ['num_trials=8', 'task=sudoku4', 'task.clues=6']
    """
    arguments = []
    for name, value in flatten(options).items():
        section, _, option = name.rpartition(".")
        name = section if option == "name" and section in NAMED else name
        arguments.append(f"{name}={_format_value(value)}")
    return arguments


def _format_value(value: Any) -> str:
    """Format a value as Hydra reads it.

    >>> _format_value(["a b", None, 1e-3, {"max_params": True}])
    '["a b",null,0.001,{max_params:true}]'
    """
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case Mapping():
            return "{" + ",".join(f"{key}:{_format_value(one)}" for key, one in value.items()) + "}"
        case list() | tuple():
            return "[" + ",".join(map(_format_value, value)) + "]"
    text = str(value)
    return text if _PLAIN.fullmatch(text) else '"' + text.replace('"', '\\"') + '"'
