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
from types import NoneType
from typing import Any, get_type_hints

from hrm.config.errors import ConfigError, UnknownNameError
from hrm.config.schema import convert_fields, read_yaml
from hrm.config.train_config import TrainConfig
from hrm.models.registry import get_family
from sweeps.config import SweepConfig, update_options
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
    """A checked search space. All names are bare field names (`hidden_size`), whatever their spelling.

    Example:
        >>> space = Space.parse({
        ...     "name": "widths",
        ...     "question": "Which width?",
        ...     "parameters": {"arch.hidden_size": [64, 96]},
        ...     "derived": {"num_heads": "hidden_size // head_size"},
        ... })
        >>> list(space.parameters), space.reading("hidden_size"), space.constants
        (['hidden_size'], frozenset({'num_heads'}), {'head_size': 16})
    """

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
        """Return the space in the mapping that `load_space` gives.

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
        reader = _SpaceReader(values, family_name, where)
        parameters, fixed, constants = reader.read_parameters(), reader.read_fixed(), reader.read_constants()
        derived, filled = reader.read_derived(constants)
        space = cls(
            name=str(values.get("name", "")),
            question=question.strip(),
            fields=reader.fields,
            parameters=parameters,
            derived=derived,
            filled=filled,
            constants=constants,
            fixed=fixed,
        )
        reader.check_fill(space)
        reader.check_run()
        return space

    def reading(self, name: str) -> frozenset[str]:
        """Return the derived values (and the filled width) whose value depends on that of `name`."""
        found = {name}
        for derived, expression in self.derived.items():
            if expression.names & found:
                found.add(derived)
        return frozenset(found - {name})


class _SpaceReader:
    """Reads the sections of a space. Whatever is at fault is a `UserError` that says where it is.

    Args:
        where: what to call the space in an error.
    """

    def __init__(self, values: Mapping[str, Any], family_name: str, where: str) -> None:
        self._values, self._family, self._where = values, get_family(family_name), where
        self.fields = Fields(family_name)
        self._sections: dict[str, str] = {}
        """The section of each field that has been read."""

    def read_parameters(self) -> dict[str, Parameter]:
        parameters = {}
        for name, given in self._read_fields("parameters").items():
            try:
                parameter = parse_parameter(given)
            except ValueError as error:
                raise self._refuse(f"parameters.{name}", given, str(error)) from None
            if parameter.grid is None and float not in self.fields.types(name):
                rule = "must have whole values: this range has values between them"
                raise self._refuse(f"parameters.{name}", given, rule)
            for value in parameter.extremes():
                self._convert("parameters", name, value)
            parameters[name] = parameter
        if not parameters:
            raise self._refuse("parameters", None, "must hold at least one parameter to search")
        return parameters

    def read_fixed(self) -> dict[str, Any]:
        fixed = self._read_fields("fixed")
        return {name: self._convert("fixed", name, value) for name, value in fixed.items()}

    def read_constants(self) -> dict[str, float]:
        constants = self._read_section("constants")
        for name, given in constants.items():
            if name in self.fields:
                rule = "is a field of the model or its training"
                raise self._refuse(f"constants.{name}", given, rule, "Move it to fixed.")
            if not (isinstance(name, str) and name.isidentifier() and is_number(given)):
                raise self._refuse(f"constants.{name}", given, "must be a name with a number")
        return {**DEFAULT_CONSTANTS, **constants}

    def read_derived(self, constants: Mapping[str, float]) -> tuple[dict[str, Expression], str | None]:
        """Return the derived values, each after those that it reads, and the width that fills the budget."""
        waiting: dict[str, Expression] = {}
        filled = None
        known = {*constants, *self.fields} - {"steps"}
        for name, given in self._read_fields("derived").items():
            where = f"derived.{name}"
            if given == FILL:
                filled = name
                if name != self._family.width:
                    raise self._refuse(where, FILL, f"only {self._family.width} can fill the budget")
                continue
            try:
                waiting[name] = Expression.parse(str(given))
            except ValueError as error:
                raise self._refuse(where, given, str(error)) from None
            for read in sorted(waiting[name].names - known):
                raise UnknownNameError.among(f"{self._where}: {where}", read, known)
            if not {int, float, bool}.intersection(self.fields.types(name)):
                rule = "takes text, which arithmetic does not give"
                raise self._refuse(where, given, rule, "Move it to fixed or parameters.")
        ordered: dict[str, Expression] = {}
        while waiting:
            ready = [name for name, expression in waiting.items() if not expression.names & waiting.keys()]
            if not ready:
                rule = "these values read each other in a circle"
                hint = "Let one of them read parameters, constants or fixed values only."
                raise self._refuse("derived", ", ".join(sorted(waiting)), rule, hint)
            ordered |= {name: waiting.pop(name) for name in ready}
        return ordered, filled

    def check_fill(self, space: Space) -> None:
        """Check that a width that fills the budget has a step, and decides the model's size alone."""
        step = space.constants["head_size"]
        if space.filled is None:
            return
        if not (isinstance(step, int) and step >= 1):
            raise self._refuse("constants.head_size", step, f"{FILL} needs a whole number of at least 1")
        allowed = self._family.non_parametric_fields
        for name in sorted(space.reading(space.filled)):
            if self.fields.section(name) == "model" and name not in allowed:
                rule = f"reads {space.filled}, which fills the budget, so it must not change the model's size"
                hint = f"Of the model, these may read it: {', '.join(sorted(allowed))}."
                raise self._refuse(f"derived.{name}", space.derived[name].text, rule, hint)

    def check_run(self) -> None:
        """Refuse what no sweep takes. The options of a task, sampler or pruner are theirs to judge."""
        hints = get_type_hints(SweepConfig) | {"model": self._family.config_class}
        del hints["space"]
        for key, given in update_options(self._read_section("run")).items():
            if key not in hints:
                raise UnknownNameError.among(f"{self._where}: run", str(key), hints)
            if dataclasses.is_dataclass(hints[key]):
                convert_fields(hints[key], given, f"{self._where}: run.{key}")
            elif key in NAMED and not isinstance(given, str | Mapping):
                raise self._refuse(f"run.{key}", given, "must be a mapping of names to values, or a name")

    def _read_section(self, key: str) -> Mapping[str, Any]:
        section = self._values.get(key)
        if not isinstance(section, Mapping | NoneType):
            raise self._refuse(key, section, "must be a mapping of names to values")
        return section or {}

    def _read_fields(self, key: str) -> dict[str, Any]:
        """Return a section's values by the bare names of the fields, none of which another section has."""
        found: dict[str, Any] = {}
        for name, given in self._read_section(key).items():
            field = self.fields.find(name, f"{self._where}: {key}")
            if field in self._sections:
                rule = f"{field} already stands under {self._sections[field]}"
                raise self._refuse(f"{key}.{name}", name, rule, "Keep one of the two.")
            self._sections[field] = key
            found[field] = given
        return found

    def _convert(self, section: str, name: str, value: Any) -> Any:
        """Return a value as its field's type. A training field's rule is about it alone, and so is checked here."""
        converted = self.fields.convert(name, value, f"{self._where}: {section}")
        if self.fields.section(name) == "train":
            try:
                TrainConfig(**{name: converted})
            except ConfigError as error:
                raise self._refuse(f"{section}.{name}", converted, error.rule) from None
        return converted

    def _refuse(self, place: str, given: Any, rule: str, hint: str = "") -> SpaceError:
        return SpaceError(f"{self._where}: {place}", given, rule, hint)


def find_spaces(folder: Path = SPACES_FOLDER) -> dict[str, Path]:
    """Return the spaces in a folder, by file name without `.yaml`, in alphabetical order; none is read.

    Example:
        >>> list(find_spaces())[:3]
        ['cycles', 'depth_vs_width', 'expansion']
    """
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_space(name_or_path: str, folder: Path = SPACES_FOLDER) -> dict[str, Any]:
    """Return a space's mapping as its YAML has it, checked, plus its `name`.

    Args:
        name_or_path: a file's name without `.yaml` in `folder`, or the path of a YAML file.

    Raises:
        UserError: there is no such space, or its file is at fault.

    Example:
        >>> load_space("cycles")["parameters"]["H_cycles"]
        {'int': [1, 4]}
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


def hash_space(space: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a space as its mapping, whatever the order of its keys.

    Example:
        >>> hash_space({"name": "cycles", "fixed": {}}) == hash_space({"fixed": {}, "name": "cycles"})
        True
    """
    return hashlib.sha256(json.dumps(space, sort_keys=True, default=str).encode()).hexdigest()
