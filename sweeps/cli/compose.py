"""From the command line of a new sweep, which Hydra composes, to a checked `SweepConfig`."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_type_hints

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hrm.config.errors import ConfigError, UnknownNameError, UserError
from hrm.config.run_config import ALIASES, DEFAULT_TASK, DEVICES, check_task_fits
from hrm.config.schema import build_config, is_import_path
from hrm.data.registry import TASKS, get_task_class
from hrm.models.registry import get_family
from sweeps.config import SweepConfig, accept_renamed_options, update_option_name
from sweeps.search.objectives import expand_objective_name, parse_objectives
from sweeps.search.pruners import PRUNERS, check_not_removed
from sweeps.search.samplers import SAMPLERS, find_sampler
from sweeps.space.space import NAMED, SPACES_FOLDER, find_spaces, load_space

HYDRA_VERSION = "1.3"
"""Whose defaults hold."""
CONFIG_NAME = "sweep"
GROUPS = ("space", *NAMED)
NO_SPACE = "none"
"""Stands where no space is chosen: --multirun composes once before it chooses."""
_OPTIONS = "{group}_of_space"
"""Group of the options that spaces give to their own choice in `group`."""


class Groups:
    """The groups, registered in Hydra's ConfigStore. A space is read and registered when it is chosen.

    Args:
        folder: where the spaces are.

    Attributes:
        spaces: names of the spaces in the folder, whether or not they can be read.
        paths: files and import paths that were chosen, by the names under which they are registered.
    """

    def __init__(self, folder: Path = SPACES_FOLDER) -> None:
        self._store, self._folder = ConfigStore.instance(), folder
        self.spaces = list(find_spaces(folder))
        self.paths: dict[str, str] = {}
        self._store.store(name=CONFIG_NAME, node=_build_primary())
        self._store.store(group="space", name=NO_SPACE, node={})
        for group, names in (("task", TASKS), ("sampler", SAMPLERS), ("pruner", PRUNERS)):
            for name in names:
                self._register(group, name, name)

    def register_spaces(self) -> None:
        """Register all spaces that can be read: for shell completion, which offers them."""
        for name in self.spaces:
            with contextlib.suppress(UserError):
                self._register("space", name, name)

    def choose(self, group: str, given: str) -> str:
        """Return the registered name of what the user gave for a group; it is registered first.

        Raises:
            UserError: there is no such choice, or its file is at fault.
        """
        known: Collection[str] = {
            "space": self.spaces,
            "task": TASKS,
            "sampler": SAMPLERS,
            "pruner": PRUNERS,
        }[group]
        is_path = {
            "space": given.endswith((".yaml", ".yml")),
            "task": True,
            "sampler": is_import_path(given),
            "pruner": False,
        }[group]
        if group == "pruner":
            check_not_removed(group, given)
        if given not in known and not is_path:
            raise UnknownNameError.among(group, given, known)
        name = given
        if given not in known:
            # A path may hold what Hydra's grammar gives a meaning to; a name of our own does not.
            name = f"{group}_{len(self.paths) + 1}"
            self.paths[name] = given
        self._register(group, name, given)
        return name

    def _register(self, group: str, name: str, given: str) -> None:
        node: dict[str, Any] = {"name": given}
        if group == "space":
            node = self._compose_space(name, load_space(given, self._folder))
        elif group == "task":
            config: Any = build_config(get_task_class(given), node, group)
            node = dataclasses.asdict(config)
        else:
            node |= list_defaults(find_sampler(given).build if group == "sampler" else PRUNERS[given])
        package = "_global_" if group == "space" else None
        self._store.store(group=group, name=name, node=node, package=package)

    def _compose_space(self, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the node of a space: its own options and choices, which the command line wins over."""
        own = {key: value for key, value in values.items() if key != "run"}
        run = accept_renamed_options(values.get("run") or {})
        run |= clear_alternatives([key for key in run if run[key] is not None], f"space {name}: run")
        choices: list[Any] = []
        for group in NAMED:
            given = run.pop(group, None)
            section = {"name": given} if isinstance(given, str) else dict(given or {})
            choice = _DEFAULT_CHOICES[group]
            if "name" in section:
                try:
                    choice = self.choose(group, str(section.pop("name")))
                except UserError as error:
                    where, *rest = error.args
                    raise type(error)(f"space {name}: run: {where}", *rest) from None
                choices.append({f"override /{group}": choice})
            if section:
                self._store.store(group=_OPTIONS.format(group=group), name=f"{name}-{choice}", node=section)
        return {"defaults": ["_self_", *choices], "space": own, **run}


_DEFAULT_CHOICES = {
    "task": DEFAULT_TASK,
    "sampler": SweepConfig(space={}).sampler["name"],
    "pruner": SweepConfig(space={}).pruner["name"],
}


def _build_primary() -> dict[str, Any]:
    values = dataclasses.asdict(SweepConfig(space={}))
    plain = {key: value for key, value in values.items() if key not in GROUPS}
    chosen = [{group: choice} for group, choice in _DEFAULT_CHOICES.items()]
    options = [
        {f"optional {_OPTIONS.format(group=group)}@{group}": f"${{space}}-${{{group}}}"} for group in NAMED
    ]
    silence = [{f"override hydra/{name}_logging": "none"} for name in ("job", "hydra")]
    # A sweep writes its own folder: Hydra's would be a second one.
    hydra = {
        "run": {"dir": "."},
        "sweep": {"dir": "outputs/multirun-${now:%Y%m%d-%H%M%S}", "subdir": "."},
        "output_subdir": None,
        "job": {"chdir": False},
    }
    return {"defaults": [*chosen, "_self_", {"space": NO_SPACE}, *options, *silence], **plain, "hydra": hydra}


def list_defaults(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the options of a sampler or pruner with their defaults: its keyword-only parameters.

    >>> from sweeps.search.samplers import SAMPLERS
    >>> list_defaults(SAMPLERS["qmc"].build)
    {'qmc_type': 'sobol', 'scramble': True}
    """
    parameters = inspect.signature(function).parameters.values()
    return {one.name: one.default for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY}


SHORTHANDS = {"budget": "budget.max_params", "wandb": "wandb.mode"}
"""Sections whose name alone means the one option that most users set."""
_TOP = "configuration"
_INSTEAD = {"objective": "objectives", "objectives": "objective"}
"""Options of which only one may be given, and which other one each replaces."""
_ASSIGNMENT = re.compile(r"(?P<prefix>\+{0,2})(?P<key>[^+~=\s][^=\s]*)=(?P<value>.*)", re.DOTALL)


def rewrite_arguments(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the command line as Hydra is to read it.

    Choices are checked, and paths among them registered under names. Other assignments may add keys: whether
    there is such a key is judged later, by its owner, whose message names the nearest.

    Args:
        arguments: as the user wrote them.

    Returns:
        Overrides and then flags, wherever the user put these, for argparse wants the overrides in one piece; and
        the paths among the choices, by the names that stand for them.

    Raises:
        UserError: a choice that is not there, or no space.
    """
    groups = Groups()
    if any(argument.startswith(("-sc", "--shell", "--hydra-help", "--version")) for argument in arguments):
        groups.register_spaces()
        return list(arguments), {}
    overrides, flags, given = [], [], set()
    for before, argument in zip(["", *arguments], arguments):
        match = _ASSIGNMENT.fullmatch(argument)
        key, value = (match["key"], match["value"]) if match else ("", "")
        if key in GROUPS:
            value = value.strip("'\"")
            values = [value] if os.path.exists(value) else value.split(",")
            overrides.append(f"{key}={','.join(groups.choose(key, one.strip()) for one in values)}")
        elif match and not match["prefix"] and not key.startswith(("hydra.", "hydra/")):
            overrides.append(f"++{expand_option_name(key)}={value}")
        elif match or argument.startswith("~"):
            overrides.append(argument)
        elif argument.startswith("-") or before.startswith("-"):
            check_flag(argument)
            flags.append(argument)
        else:
            raise ConfigError("command line", argument, "must read name=value")
        given |= {key} if value != "null" else set()
    if "space" not in given:
        names = ", ".join(groups.spaces)
        hint = "For example: python run_sweep.py space=depth_vs_width"
        raise ConfigError("command line", " ".join(arguments), f"must choose a space: {names}", hint)
    overrides += [f"++{name}=null" for name in clear_alternatives(given, "command line")]
    return [*overrides, *flags], groups.paths


def expand_option_name(name: str) -> str:
    """Return an option's full name of today, for a shorthand or an earlier name."""
    return update_option_name(SHORTHANDS.get(name, name))


def check_flag(argument: str) -> None:
    """Check a flag, for which Hydra would exit with a usage text of its own."""
    # Hydra has no public list of its flags. `test_private_names_of_hydra` fails if this place changes.
    from hydra._internal.utils import get_args_parser

    known = [option for action in get_args_parser()._actions for option in action.option_strings]
    flag = argument.partition("=")[0]
    if flag.startswith("--") and flag not in known:
        raise UnknownNameError.among("command line", flag, [one for one in known if one.startswith("--")])


@contextlib.contextmanager
def translate_errors(arguments: Sequence[str]) -> Iterator[None]:
    """Raise what Hydra finds wrong with a command line as a `ConfigError`."""
    from hydra.errors import HydraException, OverrideParseException

    try:
        yield
    except OverrideParseException as error:
        given = error.override.removeprefix("++")
        hint = "Quote a value that holds special characters, as in 'name=\"a, b\"'"
        raise ConfigError("command line", given, f"cannot be read: {_format_one_line(error)}", hint) from None
    except (HydraException, OmegaConfBaseException) as error:
        if not isinstance(error.__cause__, OmegaConfBaseException):
            raise ConfigError("command line", " ".join(arguments), _format_one_line(error)) from None
        # Hydra cannot merge a value with the one that is there, such as a list with a range.
        key = str(error.__cause__.full_key)
        value = next((one for one in arguments if one.startswith(f"{key}=")), key).removeprefix(f"{key}=")
        rule = "is of another kind than the value there, and values are merged"
        raise ConfigError(key, value, rule, f"Delete that first: '~{key}' '+{key}={value}'") from None


def _format_one_line(error: Exception) -> str:
    return " ".join(str(error).split("See https://")[0].split())


def compose_sweep(arguments: Sequence[str]) -> SweepConfig:
    """Return the configuration of the one sweep that a command line asks for.

    Raises:
        UserError: the command line or what it names is at fault.
    """
    import hydra

    overrides, _ = rewrite_arguments(arguments)
    with translate_errors(arguments), hydra.initialize(version_base=HYDRA_VERSION, config_path=None):
        return read_composed(hydra.compose(CONFIG_NAME, overrides))


def read_composed(composed: Any) -> SweepConfig:
    """Return the configuration that Hydra has composed, checked.

    Raises:
        UserError: it is at fault.
    """
    try:
        values = OmegaConf.to_container(composed, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError("configuration", str(error.full_key), str(error).splitlines()[0]) from None
    assert isinstance(values, dict)
    return build_sweep_config({str(key): value for key, value in values.items()})


def build_sweep_config(values: Mapping[str, Any]) -> SweepConfig:
    """Build the configuration from nested plain values.

    Raises:
        UserError: an unknown key or name, or a value that breaks its rule.
    """
    hints = get_type_hints(SweepConfig)
    merged = accept_renamed_options(values)
    for alias, section in ALIASES.items():
        if alias in merged:
            merged[section] = {**_get_section(merged, section), **_get_section(merged, alias)}
            del merged[alias]
    for key in merged:
        if key not in hints:
            for name in _list_section_fields(merged):
                if name.partition(".")[2] == key:
                    rule = "is no option of a sweep by this name"
                    raise UnknownNameError(_TOP, key, rule, f"Did you mean {name!r}?")
            raise UnknownNameError.among(_TOP, key, hints)
    for name, cls in _list_sections(hints).items():
        merged[name] = build_config(cls, _get_section(merged, name), name)
    merged |= _complete_objectives(merged)
    try:
        config = build_config(SweepConfig, {**merged, "model": _get_section(merged, "model")}, _TOP)
    except ConfigError as error:
        raise ConfigError(error.where.removeprefix(f"{_TOP}."), *error.args[1:]) from None
    # What no section alone can tell: the model against the family, the task and the device.
    family, task = get_family(config.family), str(config.task["name"])
    known = [field.name for field in dataclasses.fields(family.config_class)]
    for name in config.model:
        if name not in known:
            raise UnknownNameError.among("model", name, known)
    if config.device not in DEVICES:
        raise ConfigError("device", config.device, f"must be one of: {', '.join(DEVICES)}")
    build_config(get_task_class(task), config.task, "task")
    check_task_fits(task, family)
    return config


def clear_alternatives(given: Collection[str], where: str) -> dict[str, None]:
    """Return which options to set to null because another that replaces them is given.

    Args:
        given: names of options.
        where: where they are given.

    Raises:
        ConfigError: an option and its alternative are given.
    """
    replaced = {_INSTEAD[name]: None for name in given if name in _INSTEAD}
    if both := [name for name in replaced if name in given]:
        raise ConfigError(
            where, " and ".join(sorted(both)), "one replaces the other", "Give only one of them"
        )
    return replaced


def _complete_objectives(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `objective` and `objectives` with full names: with several, `objective` is the first."""
    kind, given = str(values.get("family", SweepConfig.family)), values.get("objectives")
    if given is None:
        return {"objective": expand_objective_name(values.get("objective") or SweepConfig.objective, kind)}
    if not isinstance(given, list):
        raise ConfigError("objectives", given, "must be a list, such as [accuracy,params]")
    names = [expand_objective_name(name, kind) for name in given]
    parse_objectives(names)
    first = values.get("objective")
    if first is not None and expand_objective_name(first, kind) != names[0]:
        raise ConfigError(
            "objective", first, f"is not the first of objectives={names}", "Give only one of them"
        )
    return {"objective": names[0], "objectives": names}


def _list_sections(hints: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sections that are dataclasses, by name."""
    return {name: cls for name, cls in hints.items() if dataclasses.is_dataclass(cls)}


def _get_section(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = values.get(name, {})
    if not isinstance(section, Mapping):
        fields = [field for field in _list_section_fields(values) if field.startswith(f"{name}.")]
        hint = f"Set one of them, such as {fields[0]}." if fields else ""
        raise ConfigError(name, section, "is a section of options", hint)
    return section


def _list_section_fields(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the full names of all options in sections; the model's are those of the family in `values`."""
    model = get_family(str(values.get("family", SweepConfig.family))).config_class
    for section, cls in {**_list_sections(get_type_hints(SweepConfig)), "model": model}.items():
        for field in dataclasses.fields(cls):
            yield f"{section}.{field.name}"
