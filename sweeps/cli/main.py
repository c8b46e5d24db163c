"""The command line of a sweep: Hydra composes the configuration, and every user error becomes one message."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hrm.config.errors import ConfigError, UnknownNameError
from sweeps.config import SweepConfig, rename_options

if TYPE_CHECKING:
    from sweeps.cli.compose import Groups


def describe_multirun_sweep(
    overrides: Sequence[str], asked: Sequence[str], given: Mapping[str, str]
) -> tuple[list[str], str]:
    """Return the command line of one sweep of a command that asks for several (`-m`), and its folder's name.

    The name is what tells the sweep from the others, such as `max_params-0.25M_seed-1`.

    Args:
        overrides: what Hydra has made of the command line for this sweep.
        asked: the whole command line as Hydra got it.
        given: what the user wrote, by the names that Hydra got instead of paths.
    """
    arguments = {override: _restore_given(override, given) for override in overrides}
    varied = [_format_folder(arguments[override]) for override in overrides if override not in asked]
    return list(arguments.values()), "_".join(varied) or "0"


def set_multirun_folder(config: SweepConfig, folder: str, started: float) -> SweepConfig:
    """Give the sweep a folder of its own: in `out`, else in `outputs/multirun-<time>`.

    Args:
        started: when the command started, in seconds since 1970.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(started))
    together = Path(config.out) if config.out else Path("outputs") / f"multirun-{stamp}"
    return dataclasses.replace(config, out=str(together / folder))


def _restore_given(override: str, given: Mapping[str, str]) -> str:
    key, _, value = override.removeprefix("++").partition("=")
    return f"{key}={given.get(value, value)}"


def _format_folder(argument: str) -> str:
    key, _, value = argument.partition("=")
    value = Path(value).stem if value.endswith((".yaml", ".yml")) else value
    plain = re.sub(r"[^\w.+-]+", "-", value).strip("-")
    return f"{key.rpartition('.')[2]}-{plain}"


_ASSIGNMENT = re.compile(r"(?P<prefix>\+{0,2})(?P<key>[^+~=\s][^=\s]*)=(?P<value>.*)", re.DOTALL)


def run_program() -> int:
    """Run the command line of this process and return its exit code."""
    from hrm.config.command_line import run_cli

    return run_cli(main)


def main(arguments: list[str]) -> int:
    """Run the sweeps that the command line asks for, or print what Hydra's flags ask for.

    Returns:
        The exit code.

    Raises:
        UserError: the command line or what it names is at fault; nothing has been started or written.
    """
    if {"-h", "--help"} & set(arguments):
        from sweeps.cli.help import format_help

        print(format_help())
        return 0
    from sweeps.cli import resume

    if resume.asks_to_resume(arguments):
        return resume.run_resume(arguments)
    return _Program(arguments).run()


class _Program:
    """One call of the program, which Hydra calls back for each sweep."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = arguments
        self._started = time.time()
        self._code = 0
        self._asked: list[str] = []
        """The command line as Hydra gets it."""
        self._given: dict[str, str] = {}
        """Paths that the user gave, by the names under which Hydra knows them."""

    def run(self) -> int:
        """Run the sweeps and return the exit code."""
        import hydra

        from sweeps.cli.compose import CONFIG_NAME

        # Hydra then raises what it would print with exit code 1.
        os.environ["HYDRA_FULL_ERROR"] = "1"
        self._asked = rewrite_arguments(self._arguments, self._given)
        before = sys.argv
        sys.argv = [before[0], *self._asked]
        try:
            with _convert_hydra_errors(self._arguments):
                hydra.main(version_base="1.3", config_path=None, config_name=CONFIG_NAME)(self._run)()
        finally:
            sys.argv = before
        return self._code

    def _run(self, composed: Any) -> None:
        """Run one sweep. Hydra would print a line of its own about an exception, so none leaves here."""
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode

        from hrm.config.command_line import INTERRUPTED, run_cli

        def run(arguments: list[str]) -> None:
            config = _read_config(composed)
            hydra = HydraConfig.get()
            if hydra.mode == RunMode.MULTIRUN:
                overrides = list(hydra.overrides.task)
                arguments, folder = describe_multirun_sweep(overrides, self._asked, self._given)
                config = set_multirun_folder(config, folder, self._started)
            if config.dry_run:
                from sweeps.dry_run import describe_sweep

                print(describe_sweep(config))
            else:
                from sweeps import sweep

                sweep.run(config, command=arguments)

        code = run_cli(run, self._arguments)
        if code == INTERRUPTED:
            raise SystemExit(code)  # past Hydra, which would go on with the next of several sweeps
        self._code = max(self._code, code)


def compose_sweep(arguments: Sequence[str]) -> SweepConfig:
    """Return the configuration of the one sweep that the command line asks for.

    Raises:
        UserError: the command line or what it names is at fault.
    """
    import hydra

    from sweeps.cli.compose import CONFIG_NAME

    overrides = rewrite_arguments(arguments, {})
    with _convert_hydra_errors(arguments), hydra.initialize(version_base="1.3", config_path=None):
        return _read_config(hydra.compose(CONFIG_NAME, overrides))


@contextmanager
def _convert_hydra_errors(arguments: Sequence[str]) -> Iterator[None]:
    """Turn what Hydra raises about the command line into user errors."""
    from hydra.errors import HydraException, OverrideParseException
    from omegaconf.errors import OmegaConfBaseException

    try:
        yield
    except OverrideParseException as error:
        given = error.override.removeprefix("++")
        hint = "Quote a value that holds special characters, as in 'name=\"a, b\"'"
        raise ConfigError("command line", given, f"cannot be read: {_format_one_line(error)}", hint) from None
    except (HydraException, OmegaConfBaseException) as error:
        cause = error.__cause__
        if not isinstance(cause, OmegaConfBaseException):
            raise ConfigError("command line", " ".join(arguments), _format_one_line(error)) from None
        # Hydra cannot merge the value with the one that is there, such as a list with a range.
        key = str(cause.full_key)
        value = next((given for given in arguments if given.startswith(f"{key}=")), key).removeprefix(
            f"{key}="
        )
        rule = "is of another kind than the value there, and values are merged"
        raise ConfigError(key, value, rule, f"Delete that first: '~{key}' '+{key}={value}'") from None


def _format_one_line(error: Exception) -> str:
    return " ".join(str(error).split("See https://")[0].split())


def rewrite_arguments(arguments: Sequence[str], given: dict[str, str]) -> list[str]:
    """Return the command line as Hydra is to read it.

    Choices are checked, and paths among them registered under names. Other assignments may add keys: whether
    there is such a key is judged later, by its owner, whose message names the nearest.

    Args:
        arguments: as the user wrote them.
        given: gets the paths among the choices, by the names that stand for them.

    Raises:
        UserError: a choice that is not there, or no space.
    """
    from sweeps.cli.compose import GROUPS, SHORTHANDS, Groups, clear_alternatives

    groups = Groups()
    if any(argument.startswith(("-sc", "--shell", "--hydra-help", "--version")) for argument in arguments):
        groups.register_spaces()
        return list(arguments)
    overrides, flags, chosen = [], [], set()
    for before, argument in zip(["", *arguments], arguments):
        match = _ASSIGNMENT.fullmatch(argument)
        if match and match["key"] in GROUPS:
            chosen.add(match["key"])
            overrides.append(f"{match['key']}={_choose(groups, match['key'], match['value'])}")
        elif match and not match["prefix"] and not match["key"].startswith(("hydra.", "hydra/")):
            [name] = rename_options({match["key"]: None})
            key = SHORTHANDS.get(name, name)
            overrides.append(f"++{key}={match['value']}")
        elif match or argument.startswith("~"):
            overrides.append(argument)
        elif argument.startswith("-") or before.startswith("-"):
            _check_flag(argument)
            flags.append(argument)
        else:
            raise ConfigError("command line", argument, "must read name=value")
    if "space" not in chosen:
        names = ", ".join(groups.spaces)
        hint = "For example: python run_sweep.py space=depth_vs_width"
        raise ConfigError("command line", " ".join(arguments), f"must choose a space: {names}", hint)
    matches = filter(None, map(_ASSIGNMENT.fullmatch, arguments))
    given_keys = [match["key"] for match in matches if match["value"] != "null"]
    overrides += [f"++{name}=null" for name in clear_alternatives(given_keys, "command line")]
    given.update(groups.paths)
    # argparse wants the overrides in one piece, wherever the user put the flags.
    return [*overrides, *flags]


def _check_flag(argument: str) -> None:
    """Check a flag against Hydra's own parser, which is private: Hydra would exit with a usage text of its own."""
    from hydra._internal.utils import get_args_parser

    known = [option for action in get_args_parser()._actions for option in action.option_strings]
    flag = argument.partition("=")[0]
    if flag.startswith("--") and flag not in known:
        raise UnknownNameError.among("command line", flag, [one for one in known if one.startswith("--")])


def _choose(groups: Groups, group: str, given: str) -> str:
    """Return the registered name of a choice, or of several for `--multirun`."""
    given = given.strip("'\"")
    if "," not in given or os.path.exists(given):
        return groups.choose(group, given)
    return ",".join(groups.choose(group, one.strip()) for one in given.split(","))


def _read_config(composed: Any) -> SweepConfig:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from sweeps.cli.compose import build_sweep_config

    try:
        values = OmegaConf.to_container(composed, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError("configuration", str(error.full_key), str(error).splitlines()[0]) from None
    assert isinstance(values, dict)
    return build_sweep_config({str(key): value for key, value in values.items()})
