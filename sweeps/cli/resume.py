"""`python run_sweep.py resume=DIR`: resume a sweep, perhaps with higher limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hrm.config.errors import ConfigError
from hrm.config.schema import parse_dotlist, read_yaml
from sweeps.cli.compose import SHORTHANDS, build_sweep_config, clear_alternatives
from sweeps.config import SweepConfig, rename_options, update_stored_options
from sweeps.errors import OutputError
from sweeps.events import SessionStarted
from sweeps.results import output_dir as output
from sweeps.scheduler import event_log
from sweeps.scheduler.resume_overrides import check_overrides, with_limits
from sweeps.space.space import load_space

RESUME, EXTEND = "resume", "extend"
_CHOICES = ("task", "sampler", "pruner")
"""Sections that may be given by name alone."""


def asks_to_resume(arguments: Sequence[str]) -> bool:
    """Return whether the command line resumes a sweep instead of starting one."""
    return any(argument.startswith((f"{RESUME}=", f"{EXTEND}=")) for argument in arguments)


def run_resume(arguments: Sequence[str]) -> int:
    """Resume the sweep that the command line names.

    Raises:
        UserError: there is none, or what is asked for is not how it began; nothing has been touched.
    """
    config = read_resumed_config(arguments)
    assert config.out is not None
    if config.dry_run:
        from sweeps.dry_run import describe_sweep

        print(describe_sweep(config))
    else:
        from sweeps import sweep

        sweep.resume(config, Path(config.out))
    return 0


def read_resumed_config(arguments: Sequence[str]) -> SweepConfig:
    """Return the configuration to resume with; its `out` is the sweep's folder.

    Raises:
        UserError: see `main`.
    """
    given = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    if given.get(RESUME) == "":
        raise ConfigError(RESUME, "", "must be the folder of a sweep", f"For example: {RESUME}=outputs/first")
    if RESUME not in given:
        raise ConfigError(
            EXTEND, given.get(EXTEND), "goes with resume=DIR, the folder of the sweep to extend"
        )
    out = Path(given[RESUME]).expanduser().absolute()
    stored = _read_stored(out)
    asked_for = rename_options(parse_dotlist(one for one in arguments if one.split("=")[0] != RESUME))
    options = {SHORTHANDS.get(name, name): value for name, value in asked_for.items()}
    if EXTEND in options:
        options["num_trials"] = stored.num_trials + _pop_extension(options)
    asked = build_sweep_config(_merge(asdict(stored) | {"out": str(out)}, options))
    check_overrides(stored, asked)
    return asked


def _read_stored(out: Path) -> SweepConfig:
    """Return the configuration of the sweep in a folder, with its latest limits.

    Raises:
        OutputError: the folder holds none.
    """
    if not (out / output.CONFIG).is_file():
        given = "no such folder" if not out.exists() else "no sweep in it"
        raise OutputError("resume", str(out), f"must be the folder of a sweep ({given})")
    config = build_sweep_config(update_stored_options(read_yaml(out / output.CONFIG)))
    # The event log is written before the configuration.
    events = event_log.read_events(out / event_log.FILE_NAME)
    sessions = [event for event in events if isinstance(event, SessionStarted)]
    return with_limits(config, sessions[-1].limits) if sessions else config


def _pop_extension(options: dict[str, Any]) -> int:
    more = options.pop(EXTEND)
    if "num_trials" in options:
        raise ConfigError(EXTEND, more, "says how many trials to add: leave num_trials out")
    if not isinstance(more, int) or more < 1:
        raise ConfigError(EXTEND, more, "must be the number of search trials to add, at least 1")
    return more


def _merge(values: dict[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stored values with the dotted options in their place."""
    values = values | clear_alternatives(options, "command line")
    for name, value in options.items():
        if name == "space":
            space = load_space(str(value))
            values["space"] = {key: space[key] for key in space if key != "run"}
        elif name in _CHOICES:
            _check_choice(name, values[name]["name"], str(value), values["out"])
        else:
            *sections, option = name.split(".")
            section = values
            for part in sections:
                section = section.setdefault(part, {})
                if not isinstance(section, dict):
                    raise ConfigError(name, value, f"{part} has no options of its own")
            section[option] = value
    return values


def _check_choice(name: str, stored: str, given: str, out: str) -> None:
    if given != stored and Path(given).absolute() != Path(stored).absolute():
        hint = "Leave that out to resume it, or start a new sweep in another folder"
        raise OutputError(RESUME, out, f"must go on as it began: {name} is {stored!r}, not {given!r}", hint)
