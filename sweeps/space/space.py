"""A search space as its YAML writes it, checked: parameters, derived values, constants, fixed values.

A space is one file in `search_spaces/`. Each is read on its own, so a broken one breaks no other.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from hrm.config.errors import ConfigError, UnknownNameError
from hrm.config.schema import read_yaml
from hrm.models.registry import Family, get_family
from sweeps.config import SweepConfig, rename_options
from sweeps.errors import SpaceError
from sweeps.space.expressions import Expression
from sweeps.space.parameters import Fields, Parameter, is_number, parse_parameter, unknown

NAMED = ("task", "sampler", "pruner")
"""Sections that a bare name may stand for: `task: sudoku6` is `task: {name: sudoku6}`."""


def check_run_section(run: Mapping[str, Any], fields: Fields, where: str) -> None:
    """Refuses what no sweep takes. The options of a task, sampler or pruner are theirs to judge.

    Raises:
        SpaceError: an unknown key, or a section that is not a mapping.
    """
    where = f"{where}: run"
    hints = get_type_hints(SweepConfig)
    known = [name for name in hints if name != "space"]
    for key, given in run.items():
        if key not in known:
            raise unknown(where, str(key), known)
        if key in NAMED and isinstance(given, str):
            continue
        is_section = dataclasses.is_dataclass(hints[key]) or hints[key] == dict[str, Any]
        if is_section and not isinstance(given, Mapping):
            raise SpaceError(f"{where}.{key}", given, "must be a mapping of names to values")
        if dataclasses.is_dataclass(hints[key]):
            _check_keys(given, [field.name for field in dataclasses.fields(hints[key])], f"{where}.{key}")
        if key == "model":
            _check_keys(given, list(fields.classes["model"].__dataclass_fields__), f"{where}.{key}")  # type: ignore[attr-defined]


def _check_keys(given: Mapping[str, Any], known: list[str], where: str) -> None:
    for name in given:
        if name not in known:
            raise SpaceError(*UnknownNameError.among(where, str(name), known).args)


SPACES_FOLDER = Path(__file__).resolve().parents[2] / "search_spaces"
KEYS = ("name", "question", "parameters", "derived", "constants", "fixed", "run")
FILL = "fill"
"""The derived value that means: as wide as the budget allows."""
DEFAULT_CONSTANTS = {"head_size": 16}
"""`head_size` is the step of `fill`."""


@dataclass(frozen=True, kw_only=True)
class Space:
    """A checked search space. All names are bare field names (`hidden_size`), whatever their spelling."""

    name: str
    question: str
    fields: Fields
    parameters: dict[str, Parameter]
    derived: dict[str, Expression]
    """In an order in which each reads only what stands before it; the filled width is not among them."""
    filled: str | None
    """The width that fills the budget, if the space has one."""
    constants: dict[str, float]
    fixed: dict[str, Any]

    @classmethod
    def parse(cls, values: Mapping[str, Any], family_name: str = "puzzle", where: str | None = None) -> Space:
        """The space in the mapping that `load_space` gives.

        Args:
            where: what to call the space in an error; its name when None.

        Raises:
            SpaceError: a key, name or value is at fault.
        """
        where = where or f"space {values.get('name', '?')}"
        for key in values:
            if key not in KEYS:
                raise unknown(where, str(key), KEYS)
        question = values.get("question")
        if not isinstance(question, str) or not question.strip():
            raise SpaceError(f"{where}: question", question, "must say in a sentence what the space asks")
        fields = Fields(family_name)
        parameters = _parameters(_section(values, "parameters", where), fields, where)
        if not parameters:
            raise SpaceError(f"{where}: parameters", None, "must hold at least one parameter to search")
        constants = DEFAULT_CONSTANTS | _constants(_section(values, "constants", where), fields, where)
        fixed = _fixed(_section(values, "fixed", where), fields, where)
        family = get_family(family_name)
        given = _bare_names(_section(values, "derived", where), fields, f"{where}: derived")
        filled = _filled(given, family.width, f"{where}: derived")
        derived = _derived(given, fields, constants, f"{where}: derived")
        space = cls(name=str(values.get("name", "")), question=question.strip(), fields=fields,
                    parameters=parameters, derived=derived, filled=filled, constants=constants,
                    fixed=fixed)  # fmt: skip
        space._check_one_source_each(where)
        space._check_fill(where, family)
        check_run_section(_section(values, "run", where), fields, where)
        return space

    def reading(self, name: str) -> frozenset[str]:
        """The derived values (and the filled width) whose value depends on that of `name`."""
        found = {name}
        for derived, expression in self.derived.items():
            if expression.names & found:
                found.add(derived)
        return frozenset(found - {name})

    def _check_one_source_each(self, where: str) -> None:
        sources = {"parameters": set(self.parameters), "fixed": set(self.fixed),
                   "derived": {*self.derived, *filter(None, [self.filled])}}  # fmt: skip
        for first, second in (("parameters", "fixed"), ("parameters", "derived"), ("fixed", "derived")):
            for name in sorted(sources[first] & sources[second], key=str):
                raise SpaceError(f"{where}: {second}.{name}", name, f"already stands under {first}",
                                 "Keep one of the two.")  # fmt: skip

    def _check_fill(self, where: str, family: Family) -> None:
        if self.filled is None:
            return
        step = self.constants["head_size"]
        if not (isinstance(step, int) and step >= 1):
            raise SpaceError(
                f"{where}: constants.head_size", step, f"{FILL} needs a whole number of at least 1"
            )
        for name in sorted(self.reading(self.filled)):
            if self.fields.section(name) == "model" and name not in family.non_parametric_fields:
                rule = f"reads {self.filled}, which fills the budget, so it must not change the model's size"
                hint = f"Of the model, these may read it: {', '.join(sorted(family.non_parametric_fields))}."
                raise SpaceError(f"{where}: derived.{name}", self.derived[name].text, rule, hint)


def find_spaces(folder: Path = SPACES_FOLDER) -> dict[str, Path]:
    """The spaces in a folder, by file name without `.yaml`, in alphabetical order; none is read."""
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_space(name_or_path: str, folder: Path = SPACES_FOLDER) -> dict[str, Any]:
    """A space's mapping as its YAML has it, checked, plus its `name`.

    Args:
        name_or_path: a file's name without `.yaml` in `folder`, or the path of a YAML file.

    Raises:
        SpaceError: there is no such space, or its file is at fault.
    """
    known = find_spaces(folder)
    path = known.get(name_or_path)
    if path is None:
        path = Path(name_or_path)
        if path.suffix not in (".yaml", ".yml"):
            raise unknown("space", name_or_path, known)
    try:
        values = read_yaml(path)
    except ConfigError as error:
        raise SpaceError(*error.args) from None
    values = {"name": path.stem} | values
    run = values.get("run")
    if isinstance(run, Mapping):
        values["run"] = run = rename_options(run)
    family_name = run.get("family", "puzzle") if isinstance(run, Mapping) else "puzzle"
    Space.parse(values, str(family_name), where=str(path))
    return values


def space_hash(space: Mapping[str, Any]) -> str:
    """SHA-256 of a space as its mapping, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(space, sort_keys=True, default=str).encode()).hexdigest()


def _section(values: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    section = values.get(key)
    if section is None:
        return {}
    if not isinstance(section, Mapping):
        raise SpaceError(f"{where}: {key}", section, "must be a mapping of names to values")
    return section


def _bare_names(section: Mapping[str, Any], fields: Fields, where: str) -> dict[str, Any]:
    bare: dict[str, Any] = {}
    for name, given in section.items():
        field = fields.bare(name, where)
        if field in bare:
            raise SpaceError(f"{where}.{name}", name, f"{field} stands here twice")
        bare[field] = given
    return bare


def _parameters(section: Mapping[str, Any], fields: Fields, where: str) -> dict[str, Parameter]:
    parameters = {}
    for name, given in _bare_names(section, fields, f"{where}: parameters").items():
        try:
            parameter = parse_parameter(given)
            for value in parameter.extremes():
                fields.typed(name, value)
            if parameter.grid is None and float not in fields.types(name):
                raise ValueError("must have whole values: this range has values between them")
        except ValueError as error:
            raise SpaceError(f"{where}: parameters.{name}", given, str(error)) from None
        parameters[name] = parameter
        _check_training_values(name, parameter.extremes(), fields, f"{where}: parameters.{name}")
    return parameters


def _fixed(section: Mapping[str, Any], fields: Fields, where: str) -> dict[str, Any]:
    fixed = {}
    for name, given in _bare_names(section, fields, f"{where}: fixed").items():
        try:
            fixed[name] = fields.typed(name, given)
        except ValueError as error:
            raise SpaceError(f"{where}: fixed.{name}", given, str(error)) from None
        _check_training_values(name, [given], fields, f"{where}: fixed.{name}")
    return fixed


def _check_training_values(name: str, values: list[Any], fields: Fields, where: str) -> None:
    """A training field's rule is about it alone, so one bad value is bad in every trial."""
    if fields.section(name) != "train":
        return
    for value in values:
        try:
            fields.classes["train"](**{name: fields.typed(name, value)})
        except ConfigError as error:
            raise SpaceError(where, value, error.rule) from None


def _constants(section: Mapping[str, Any], fields: Fields, where: str) -> dict[str, float]:
    for name, given in section.items():
        if name in fields:
            raise SpaceError(f"{where}: constants.{name}", given, "is a field of the model or its training",
                             "Move it to fixed.")  # fmt: skip
        if not (isinstance(name, str) and name.isidentifier() and is_number(given)):
            raise SpaceError(f"{where}: constants.{name}", given, "must be a name with a number")
    return dict(section)


def _filled(given: Mapping[str, Any], width: str, where: str) -> str | None:
    for name, value in given.items():
        if value == FILL and name != width:
            raise SpaceError(f"{where}.{name}", FILL, f"only {width} can fill the budget")
    return width if given.get(width) == FILL else None


def _derived(
    given: Mapping[str, Any], fields: Fields, constants: Mapping[str, float], where: str
) -> dict[str, Expression]:
    expressions: dict[str, Expression] = {}
    known = set(constants).union(fields) - {"steps"}
    for name, value in given.items():
        if value == FILL:
            continue
        try:
            expressions[name] = Expression.parse(str(value))
        except ValueError as error:
            raise SpaceError(f"{where}.{name}", value, str(error)) from None
        for read in sorted(expressions[name].names - known):
            raise unknown(f"{where}.{name}", read, known)
        if not fields.is_derivable(name):
            raise SpaceError(f"{where}.{name}", value, "takes text, which arithmetic does not give",
                             "Move it to fixed or parameters.")  # fmt: skip
    return _ordered(expressions, where)


def _ordered(expressions: dict[str, Expression], where: str) -> dict[str, Expression]:
    ordered: dict[str, Expression] = {}
    waiting = dict(expressions)
    while waiting:
        ready = [name for name, expression in waiting.items() if not expression.names & set(waiting)]
        if not ready:
            names = ", ".join(sorted(waiting))
            raise SpaceError(where, names, "these values read each other in a circle",
                             "Let one of them read parameters, constants or fixed values only.")  # fmt: skip
        for name in ready:
            ordered[name] = waiting.pop(name)
    return ordered
