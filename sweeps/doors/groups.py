"""What Hydra chooses from: spaces, tasks, samplers and pruners by name, beside all other defaults.

A space's `run` section stands over the defaults and under the command line. Options that it gives to its own
task, sampler or pruner do not reach another one that the command line puts in its place.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore

from hrm import config as reader
from hrm.errors import UnknownNameError, UserError
from hrm.run_config import DEFAULT_TASK
from hrm.tasks import TASKS, task_kind
from sweeps.config import SweepConfig
from sweeps.doors.compose import alone
from sweeps.search.pruners import PRUNERS
from sweeps.search.samplers import SAMPLERS
from sweeps.space.run_section import NAMED
from sweeps.space.space import SPACES_FOLDER, find_spaces, load_space

CONFIG_NAME = "sweep"
GROUPS = ("space", *NAMED)
NO_SPACE = "none"
"""Stands where no space is chosen: --multirun composes once before it chooses."""
_OPTIONS = "{group}_of_space"
"""Group of the options that spaces give to their own choice in `group`."""


class Groups:
    """The groups, registered in Hydra's ConfigStore.

    Args:
        folder: where the spaces are. One that cannot be read is left out, and its error raised when it is
            chosen.
    """

    def __init__(self, folder: Path = SPACES_FOLDER) -> None:
        self._store = ConfigStore.instance()
        self.questions: dict[str, str] = {}
        """Of the sound spaces, by name."""
        self.broken: dict[str, UserError] = {}
        self.paths: dict[str, str] = {}
        """Files that were chosen, by the names under which they are registered."""
        self._store.store(name=CONFIG_NAME, node=_primary())
        self._store.store(group="space", name=NO_SPACE, node={})
        for name in TASKS:
            self._add_task(name, name)
        for name, entry in SAMPLERS.items():
            self._store.store(group="sampler", name=name, node={"name": name, **defaults(entry.build)})
        for name, build in PRUNERS.items():
            self._store.store(group="pruner", name=name, node={"name": name, **defaults(build)})
        for name, path in find_spaces(folder).items():
            try:
                self._add_space(name, load_space(str(path), folder))
            except UserError as error:
                self.broken[name] = error

    def choose(self, group: str, given: str) -> str:
        """The registered name of what the user gave for a group; a path is registered first.

        Raises:
            UserError: there is no such choice, or its file is at fault.
        """
        if group == "space":
            return self._choose_space(given)
        if group == "task":
            return self._choose_task(given)
        known = SAMPLERS if group == "sampler" else PRUNERS
        if given not in known:
            raise UnknownNameError.among(group, given, known)
        return given

    def _chosen_by(self, space: str, group: str, given: str) -> str:
        try:
            return self.choose(group, given)
        except UserError as error:
            where, *rest = error.args
            raise type(error)(f"space {space}: run: {where}", *rest) from None

    def _choose_space(self, given: str) -> str:
        if given in self.broken:
            raise self.broken[given]
        if given in self.questions:
            return given
        if not given.endswith((".yaml", ".yml")):
            raise UnknownNameError.among("space", given, self.questions)
        name = self._path_name("space", given)
        self._add_space(name, load_space(given))
        return name

    def _choose_task(self, given: str) -> str:
        if given in TASKS:
            return given
        name = self._path_name("task", given)
        self._add_task(name, given)
        return name

    def _path_name(self, group: str, given: str) -> str:
        # A path may hold what Hydra's grammar gives a meaning to; a name of our own does not.
        name = f"{group}_{len(self.paths) + 1}"
        self.paths[name] = given
        return name

    def _add_task(self, name: str, task: str) -> None:
        config: Any = reader.build(task_kind(task).config_class, {"name": task}, "task")
        self._store.store(group="task", name=name, node=dataclasses.asdict(config))

    def _add_space(self, name: str, values: Mapping[str, Any]) -> None:
        own = {key: value for key, value in values.items() if key != "run"}
        run = dict(values.get("run") or {})
        run |= alone([key for key in run if run[key] is not None], f"space {name}: run")
        choices: list[Any] = []
        for group in NAMED:
            given = run.pop(group, None)
            section = {"name": given} if isinstance(given, str) else dict(given or {})
            if "name" in section:
                choice = self._chosen_by(name, group, str(section.pop("name")))
                choices.append({f"override /{group}": choice})
            elif section:
                choice = _DEFAULT_CHOICES[group]
            if section:
                self._store.store(group=_OPTIONS.format(group=group), name=f"{name}-{choice}", node=section)
        node = {"defaults": ["_self_", *choices], "space": own, **run}
        self._store.store(group="space", name=name, node=node, package="_global_")
        self.questions[name] = str(own["question"])


_DEFAULT_CHOICES = {
    "task": DEFAULT_TASK,
    "sampler": SweepConfig(space={}).sampler["name"],
    "pruner": SweepConfig(space={}).pruner["name"],
}


def _primary() -> dict[str, Any]:
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


def defaults(function: Callable[..., Any]) -> dict[str, Any]:
    """Options of a sampler or pruner with their defaults: its keyword-only parameters."""
    parameters = inspect.signature(function).parameters.values()
    return {one.name: one.default for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY}
