"""What Hydra chooses from, and the way from the values that it composes to a checked `SweepConfig`."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, get_type_hints

from hydra.core.config_store import ConfigStore

from hrm.config.errors import ConfigError, UnknownNameError, UserError
from hrm.config.run_config import ALIASES, DEFAULT_TASK, DEVICES, check_task_fits
from hrm.config.schema import build_config, is_import_path
from hrm.data.registry import TASKS, get_task_class
from hrm.models.registry import get_family
from sweeps.config import SweepConfig, refuse_removed_options
from sweeps.search.objectives import expand_objective_name, parse_objectives
from sweeps.search.pruners import PRUNERS, check_not_removed
from sweeps.search.samplers import SAMPLERS, find_sampler
from sweeps.space.space import NAMED, SPACES_FOLDER, find_spaces, load_space

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
        paths: files that were chosen, by the names under which they are registered.
    """

    def __init__(self, folder: Path = SPACES_FOLDER) -> None:
        self._store = ConfigStore.instance()
        self._folder = folder
        self.paths: dict[str, str] = {}
        self._store.store(name=CONFIG_NAME, node=_build_primary())
        self._store.store(group="space", name=NO_SPACE, node={})
        for name in TASKS:
            self._add_task(name, name)
        for name in SAMPLERS:
            self._add_sampler(name, name)
        for name, build in PRUNERS.items():
            self._store.store(group="pruner", name=name, node={"name": name, **list_defaults(build)})

    @property
    def spaces(self) -> list[str]:
        """Names of the spaces in the folder, whether or not they can be read."""
        return list(find_spaces(self._folder))

    def register_spaces(self) -> None:
        """Register all spaces that can be read: for shell completion, which offers them."""
        for name in self.spaces:
            with contextlib.suppress(UserError):
                self._choose_space(name)

    def choose(self, group: str, given: str) -> str:
        """Return the registered name of what the user gave for a group; a file is registered first.

        Raises:
            UserError: there is no such choice, or its file is at fault.
        """
        if group == "space":
            return self._choose_space(given)
        if group == "task":
            return self._choose_task(given)
        if group == "pruner":
            check_not_removed(group, given)
        if group == "sampler" and is_import_path(given):
            name = self._name_path(group, given)
            self._add_sampler(name, given)
            return name
        known = SAMPLERS if group == "sampler" else PRUNERS
        if given not in known:
            raise UnknownNameError.among(group, given, known)
        return given

    def _choose_for_space(self, space: str, group: str, given: str) -> str:
        try:
            return self.choose(group, given)
        except UserError as error:
            where, *rest = error.args
            raise type(error)(f"space {space}: run: {where}", *rest) from None

    def _choose_space(self, given: str) -> str:
        if given in self.spaces:
            self._add_space(given, load_space(given, self._folder))
            return given
        if not given.endswith((".yaml", ".yml")):
            raise UnknownNameError.among("space", given, self.spaces)
        name = self._name_path("space", given)
        self._add_space(name, load_space(given))
        return name

    def _choose_task(self, given: str) -> str:
        if given in TASKS:
            return given
        name = self._name_path("task", given)
        self._add_task(name, given)
        return name

    def _name_path(self, group: str, given: str) -> str:
        # A path may hold what Hydra's grammar gives a meaning to; a name of our own does not.
        name = f"{group}_{len(self.paths) + 1}"
        self.paths[name] = given
        return name

    def _add_sampler(self, name: str, sampler: str) -> None:
        options = list_defaults(find_sampler(sampler).build)
        self._store.store(group="sampler", name=name, node={"name": sampler, **options})

    def _add_task(self, name: str, task: str) -> None:
        config: Any = build_config(get_task_class(task), {"name": task}, "task")
        self._store.store(group="task", name=name, node=dataclasses.asdict(config))

    def _add_space(self, name: str, values: Mapping[str, Any]) -> None:
        own = {key: value for key, value in values.items() if key != "run"}
        run = dict(values.get("run") or {})
        run |= clear_alternatives([key for key in run if run[key] is not None], f"space {name}: run")
        choices: list[Any] = []
        for group in NAMED:
            given = run.pop(group, None)
            section = {"name": given} if isinstance(given, str) else dict(given or {})
            if "name" in section:
                choice = self._choose_for_space(name, group, str(section.pop("name")))
                choices.append({f"override /{group}": choice})
            elif section:
                choice = _DEFAULT_CHOICES[group]
            if section:
                self._store.store(group=_OPTIONS.format(group=group), name=f"{name}-{choice}", node=section)
        node = {"defaults": ["_self_", *choices], "space": own, **run}
        self._store.store(group="space", name=name, node=node, package="_global_")


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


def build_sweep_config(values: Mapping[str, Any]) -> SweepConfig:
    """Build the configuration from nested plain values.

    Raises:
        UserError: an unknown key or name, or a value that breaks its rule.
    """
    refuse_removed_options(values)
    hints = get_type_hints(SweepConfig)
    merged = dict(values)
    for alias, section in ALIASES.items():
        if alias in merged:
            merged[section] = {**_get_section(merged, section), **_get_section(merged, alias)}
            del merged[alias]
    for key in merged:
        if key not in hints:
            raise _build_unknown_error(key, merged)
    for name, cls in _list_sections(hints).items():
        merged[name] = build_config(cls, _get_section(merged, name), name)
    merged |= _complete_objectives(merged)
    try:
        config = build_config(SweepConfig, {**merged, "model": _get_section(merged, "model")}, _TOP)
    except ConfigError as error:
        raise ConfigError(error.where.removeprefix(f"{_TOP}."), *error.args[1:]) from None
    _check_config(config)
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


def _check_config(config: SweepConfig) -> None:
    """Check what one section alone does not know: model against family, task and device."""
    kind = get_family(config.family)
    known = [field.name for field in dataclasses.fields(kind.config_class)]
    for name in config.model:
        if name not in known:
            raise UnknownNameError.among("model", name, known)
    if config.device not in DEVICES:
        raise ConfigError("device", config.device, f"must be one of: {', '.join(DEVICES)}")
    build_config(get_task_class(str(config.task["name"])), config.task, "task")
    check_task_fits(str(config.task["name"]), kind)


def _build_unknown_error(key: str, values: Mapping[str, Any]) -> UnknownNameError:
    """Build the error for a key that no sweep has; a field of a section is recognised without its section."""
    for name in _list_section_fields(values):
        if name.partition(".")[2] == key:
            return UnknownNameError(
                _TOP, key, "is no option of a sweep by this name", f"Did you mean {name!r}?"
            )
    return UnknownNameError.among(_TOP, key, get_type_hints(SweepConfig))


def _list_section_fields(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the full names of all options in sections; the model's are those of the family in `values`."""
    model = get_family(str(values.get("family", SweepConfig.family))).config_class
    for section, cls in {**_list_sections(get_type_hints(SweepConfig)), "model": model}.items():
        for field in dataclasses.fields(cls):
            yield f"{section}.{field.name}"
