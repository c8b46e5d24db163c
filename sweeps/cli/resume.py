"""From `resume=DIR` and what may be given with it to a checked `SweepConfig`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hrm.config.errors import ConfigError
from hrm.config.schema import parse_dotlist, read_yaml
from sweeps.cli.compose import build_sweep_config, clear_alternatives, expand_option_name
from sweeps.config import SweepConfig, update_options
from sweeps.errors import OutputError
from sweeps.events import EVENT_LOG, SessionStarted, read_events
from sweeps.results.output_dir import CONFIG
from sweeps.scheduler.resume import check_overrides
from sweeps.space.space import NAMED, load_space

RESUME, EXTEND = "resume", "extend"


def asks_to_resume(arguments: Sequence[str]) -> bool:
    """Return whether the command line resumes a sweep instead of starting one."""
    return any(argument.startswith((f"{RESUME}=", f"{EXTEND}=")) for argument in arguments)


def read_resumed_config(arguments: Sequence[str]) -> SweepConfig:
    """Return the configuration to resume with; its `out` is the sweep's folder.

    Raises:
        UserError: there is no such sweep, or what is asked for is not how it began; nothing has been touched.
    """
    given = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    if given.get(RESUME) == "":
        raise ConfigError(RESUME, "", "must be the folder of a sweep", f"For example: {RESUME}=outputs/first")
    if RESUME not in given:
        rule = "goes with resume=DIR, the folder of the sweep to extend"
        raise ConfigError(EXTEND, given.get(EXTEND), rule)
    out = Path(given[RESUME]).expanduser().absolute()
    stored = _read_stored_config(out)
    asked_for = parse_dotlist(one for one in arguments if one.split("=")[0] != RESUME)
    options = {expand_option_name(name): value for name, value in asked_for.items()}
    if EXTEND in options:
        more = options.pop(EXTEND)
        if "num_trials" in options:
            raise ConfigError(EXTEND, more, "says how many trials to add: leave num_trials out")
        if not isinstance(more, int) or more < 1:
            raise ConfigError(EXTEND, more, "must be the number of search trials to add, at least 1")
        options["num_trials"] = stored.num_trials + more
    values = dataclasses.asdict(stored) | {"out": str(out)} | clear_alternatives(options, "command line")
    for name, value in options.items():
        _set_option(values, name, value)
    asked = build_sweep_config(values)
    check_overrides(stored, asked)
    return asked


def _read_stored_config(out: Path) -> SweepConfig:
    """Return the configuration of the sweep in a folder, with its latest limits.

    Raises:
        OutputError: the folder holds none.
    """
    if not (out / CONFIG).is_file():
        given = "no such folder" if not out.exists() else "no sweep in it"
        raise OutputError(RESUME, str(out), f"must be the folder of a sweep ({given})")
    config = build_sweep_config(update_options(read_yaml(out / CONFIG)))
    # The event log is written before the configuration.
    sessions = [event for event in read_events(out / EVENT_LOG) if isinstance(event, SessionStarted)]
    return config.with_limits(sessions[-1].limits) if sessions else config


def _set_option(values: dict[str, Any], name: str, value: Any) -> None:
    """Replace a stored value by that of a dotted option."""
    if name == "space":
        space = load_space(str(value))
        values["space"] = {key: space[key] for key in space if key != "run"}
    elif name in NAMED:
        stored = values[name]["name"]
        if value != stored and Path(str(value)).absolute() != Path(stored).absolute():
            rule = f"must go on as it began: {name} is {stored!r}, not {value!r}"
            hint = "Leave that out to resume it, or start a new sweep in another folder"
            raise OutputError(RESUME, values["out"], rule, hint)
    else:
        *sections, option = name.split(".")
        section = values
        for part in sections:
            section = section.setdefault(part, {})
            if not isinstance(section, dict):
                raise ConfigError(name, value, f"{part} has no options of its own")
        section[option] = value
