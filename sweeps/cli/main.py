"""The command line of a sweep: Hydra composes the configuration, and every user error becomes one message."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hrm.config.command_line import INTERRUPTED, asks_for_help, run_cli
from sweeps.cli.compose import (
    CONFIG_NAME,
    HYDRA_VERSION,
    read_composed,
    rewrite_arguments,
    translate_errors,
)
from sweeps.cli.resume import asks_to_resume, read_resumed_config
from sweeps.config import SweepConfig


def run_program() -> int:
    """Run the command line of this process and return its exit code."""
    return run_cli(main)


def main(arguments: list[str]) -> int:
    """Run the sweeps that the command line asks for, or print what Hydra's flags ask for.

    Returns:
        The exit code.

    Raises:
        UserError: the command line or what it names is at fault; nothing has been started or written.
    """
    if arguments and asks_for_help(arguments):
        from sweeps.cli.help import format_help

        print(format_help())
        return 0
    if asks_to_resume(arguments):
        run_config(read_resumed_config(arguments), resume=True)
        return 0
    return _run_with_hydra(arguments)


def run_config(config: SweepConfig, command: Sequence[str] = (), *, resume: bool = False) -> Path | None:
    """Run a sweep, or print what it would do, and return its folder, if it has one.

    Args:
        command: see `sweeps.sweep.run`, as `resume`.
    """
    if config.dry_run:
        from sweeps.dry_run import describe_sweep

        print(describe_sweep(config))
        return None
    from sweeps import sweep

    return sweep.run(config, command, resume=resume)


def _run_with_hydra(arguments: Sequence[str]) -> int:
    """Run a new sweep, or several, for each of which Hydra calls back; return the exit code."""
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    started = time.time()
    asked, paths = rewrite_arguments(arguments)
    codes = [0]

    def run_composed(composed: Any) -> None:
        # Hydra would print a line of its own about an exception, so none leaves here.
        def run(command: list[str]) -> None:
            config, task = read_composed(composed), HydraConfig.get()
            if task.mode == RunMode.MULTIRUN:
                command, folder = describe_multirun_sweep(list(task.overrides.task), asked, paths)
                config = set_multirun_folder(config, folder, started)
            run_config(config, command)

        codes.append(run_cli(run, arguments))
        if codes[-1] == INTERRUPTED:
            raise SystemExit(INTERRUPTED)  # past Hydra, which would go on with the next of several sweeps

    # Hydra then raises what it would print with exit code 1.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    before = sys.argv
    sys.argv = [before[0], *asked]
    try:
        with translate_errors(arguments):
            hydra.main(version_base=HYDRA_VERSION, config_path=None, config_name=CONFIG_NAME)(run_composed)()
    finally:
        sys.argv = before
    return max(codes)


def describe_multirun_sweep(
    overrides: Sequence[str], asked: Sequence[str], paths: Mapping[str, str]
) -> tuple[list[str], str]:
    """Describe one sweep of a command that asks for several (`-m`).

    Args:
        overrides: the assignments of this one.
        asked: the command line as Hydra got it.
        paths: what the user wrote, by the names that Hydra got instead.

    Returns:
        The command line that asks for this one alone; and its folder's name, which is what tells it from the
        others, such as `max_params-0.25M_seed-1`.
    """
    command, varied = [], []
    for override in overrides:
        key, _, value = override.removeprefix("++").partition("=")
        value = paths.get(value, value)
        command.append(f"{key}={value}")
        if override not in asked:
            short = Path(value).stem if value.endswith((".yaml", ".yml")) else value
            plain = re.sub(r"[^\w.+-]+", "-", short).strip("-")
            varied.append(f"{key.rpartition('.')[2]}-{plain}")
    return command, "_".join(varied) or "0"


def set_multirun_folder(config: SweepConfig, folder: str, started: float) -> SweepConfig:
    """Give the sweep a folder of its own: in `out`, else in `outputs/multirun-<time>`.

    Args:
        started: when the command started, in seconds since 1970.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(started))
    together = Path(config.out) if config.out else Path("outputs") / f"multirun-{stamp}"
    return dataclasses.replace(config, out=str(together / folder))
