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
from hrm.config.schema import convert_fields, read_yaml
from hrm.config.train_config import TrainConfig
from hrm.models.registry import Family, get_family
from sweeps.config import SweepConfig
from sweeps.errors import SpaceError
from sweeps.space.expressions import Expression
from sweeps.space.parameters import Fields, Parameter, is_number, parse_parameter

NAMED = ("task", "sampler", "pruner")
"""Sections that a bare name may stand for: `task: sudoku6` is `task: {name: sudoku6}`."""
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
            UserError: a key, name or value is at fault.
        """
        where = where or f"space {values.get('name', '?')}"
        for key in values:
            if key not in KEYS:
                raise UnknownNameError.among(where, str(key), KEYS)
        question = values.get("question")
        if not isinstance(question, str) or not question.strip():
            raise SpaceError(f"{where}: question", question, "must say in a sentence what the space asks")
        fields = Fields(family_name)
        parameters = _parameters(_section(values, "parameters", where), fields, where)
        if not parameters:
            raise SpaceError(f"{where}: parameters", None, "must hold at least one parameter to search")
        constants = DEFAULT_CONSTANTS | _constants(_section(values, "constants", where), fields, where)
        fixed = {
            name: _convert(name, value, fields, f"{where}: fixed")
            for name, value in _bare_names(
                _section(values, "fixed", where), fields, f"{where}: fixed"
            ).items()
        }
        family = get_family(family_name)
        given = _bare_names(_section(values, "derived", where), fields, f"{where}: derived")
        filled = _filled(given, family.width, f"{where}: derived")
        derived = _derived(given, fields, constants, f"{where}: derived")
        space = cls(
            name=str(values.get("name", "")),
            question=question.strip(),
            fields=fields,
            parameters=parameters,
            derived=derived,
            filled=filled,
            constants=constants,
            fixed=fixed,
        )
        space._check_one_source_each(where)
        space._check_fill(where, family)
        _check_run(_section(values, "run", where), family, f"{where}: run")
        return space

    def reading(self, name: str) -> frozenset[str]:
        """The derived values (and the filled width) whose value depends on that of `name`."""
        found = {name}
        for derived, expression in self.derived.items():
            if expression.names & found:
                found.add(derived)
        return frozenset(found - {name})

    def _check_one_source_each(self, where: str) -> None:
        derived = [*self.derived, *filter(None, [self.filled])]
        sources: dict[str, str] = {}
        for section, names in (("parameters", self.parameters), ("fixed", self.fixed), ("derived", derived)):
            for name in sorted(names):
                if name in sources:
                    rule = f"already stands under {sources[name]}"
                    raise SpaceError(f"{where}: {section}.{name}", name, rule, "Keep one of the two.")
                sources[name] = section

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
        UserError: there is no such space, or its file is at fault.
    """
    known = find_spaces(folder)
    path = known.get(name_or_path)
    if path is None:
        path = Path(name_or_path)
        if path.suffix not in (".yaml", ".yml"):
            raise UnknownNameError.among("space", name_or_path, known)
    values = {"name": path.stem} | read_yaml(path)
    run = values.get("run")
    family_name = run.get("family", "puzzle") if isinstance(run, Mapping) else "puzzle"
    Space.parse(values, str(family_name), where=str(path))
    return values


def _check_run(run: Mapping[str, Any], family: Family, where: str) -> None:
    """Refuse what no sweep takes. The options of a task, sampler or pruner are theirs to judge."""
    hints = get_type_hints(SweepConfig) | {"model": family.config_class}
    del hints["space"]
    for key, given in run.items():
        if key not in hints:
            raise UnknownNameError.among(where, str(key), hints)
        if dataclasses.is_dataclass(hints[key]):
            convert_fields(hints[key], given, f"{where}.{key}")
        elif key in NAMED and not isinstance(given, str | Mapping):
            raise SpaceError(f"{where}.{key}", given, "must be a mapping of names to values, or a name")


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
        field = fields.find(name, where)
        if field in bare:
            raise SpaceError(f"{where}.{name}", name, f"{field} stands here twice")
        bare[field] = given
    return bare


def _parameters(section: Mapping[str, Any], fields: Fields, where: str) -> dict[str, Parameter]:
    parameters = {}
    where = f"{where}: parameters"
    for name, given in _bare_names(section, fields, where).items():
        try:
            parameter = parse_parameter(given)
        except ValueError as error:
            raise SpaceError(f"{where}.{name}", given, str(error)) from None
        if parameter.grid is None and float not in fields.types(name):
            raise SpaceError(
                f"{where}.{name}", given, "must have whole values: this range has values between them"
            )
        for value in parameter.extremes():
            _convert(name, value, fields, where)
        parameters[name] = parameter
    return parameters


def _convert(name: str, value: Any, fields: Fields, where: str) -> Any:
    """Return a value as its field's type. A training field's rule is about it alone, and so is checked here."""
    converted = fields.convert(name, value, where)
    if fields.section(name) == "train":
        try:
            TrainConfig(**{name: converted})
        except ConfigError as error:
            raise SpaceError(f"{where}.{name}", converted, error.rule) from None
    return converted


def _constants(section: Mapping[str, Any], fields: Fields, where: str) -> dict[str, float]:
    for name, given in section.items():
        if name in fields:
            rule = "is a field of the model or its training"
            raise SpaceError(f"{where}: constants.{name}", given, rule, "Move it to fixed.")
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
            raise UnknownNameError.among(f"{where}.{name}", read, known)
        if not {int, float, bool}.intersection(fields.types(name)):
            rule = "takes text, which arithmetic does not give"
            raise SpaceError(f"{where}.{name}", value, rule, "Move it to fixed or parameters.")
    return _ordered(expressions, where)


def _ordered(expressions: dict[str, Expression], where: str) -> dict[str, Expression]:
    ordered: dict[str, Expression] = {}
    waiting = dict(expressions)
    while waiting:
        ready = [name for name, expression in waiting.items() if not expression.names & set(waiting)]
        if not ready:
            rule = "these values read each other in a circle"
            hint = "Let one of them read parameters, constants or fixed values only."
            raise SpaceError(where, ", ".join(sorted(waiting)), rule, hint)
        for name in ready:
            ordered[name] = waiting.pop(name)
    return ordered
