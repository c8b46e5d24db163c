"""The model families: everything that a trainer or a sweep needs to know about each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from hrm.config.errors import UnknownNameError
from hrm.config.schema import import_object, is_import_path
from hrm.config.validation import Rule


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Exact counts of one model at one batch size, from its config alone.

    Convention: a multiply-add is two FLOPs; matrix products only (projections, attention scores and mix, head);
    no elementwise operations, no optimizer, no recompute; the backward of a differentiated call costs twice its
    forward where inputs need gradients (as `torch.utils.flop_counter` counts under the math attention kernel).
    """

    trainable_params: int
    """Parameters that the dense optimizer trains."""
    puzzle_embedding_params: int
    """Parameters that the sparse optimizer trains."""
    buffers: int
    """Numbers stored but not trained (initial states), saved in a checkpoint."""
    flops_per_step: int
    """Training FLOPs of one optimizer step: no-grad steps, extra Q forward and backward as executed."""
    eval_flops_per_batch: int
    """FLOPs to evaluate one batch of the same size (`halt_max_steps` segments)."""
    weight_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    activation_bytes: int

    @property
    def params(self) -> int:
        """The parameters that a budget bounds: trainable plus puzzle embedding."""
        return self.trainable_params + self.puzzle_embedding_params

    @property
    def total_bytes(self) -> int:
        return self.weight_bytes + self.gradient_bytes + self.optimizer_bytes + self.activation_bytes


@dataclass(frozen=True)
class Family:
    """A model family.

    Args:
        name: as in `family=NAME`; for a family outside this package its import path, set when it is imported.
        tasks: the kind of tasks that it learns: those whose `TaskConfig.family` is this.
        config_class: flat frozen dataclass of the architecture, with the property `architecture`, equal for
            two configs exactly when they build the same model.
        model_class: import path of its `hrm.models.base.Model`, so that reading a config imports no torch.
        count: returns exact `Counts` for a config, a batch size and a training config.
        rules: the rules of a valid config; its constructor checks the same.
        width: the field that makes a model strictly larger as it grows, whatever the other fields.
        inner_width: the config's property that holds the inner width of its feed-forward layers.
        parametric_fields: fields that change the number of parameters, the width included.
        cost_only_fields: fields that change the cost of training, but not the model that is built.
        metrics: what an evaluation measures; `blank_accuracy` only where the task has blank cells.
        min_flops_per_step: where the data decide the cost of a step, returns the least FLOPs of a batch for a
            config and a batch size; the most is `Counts.flops_per_step`. Runs of such a family are compared at
            equal `train.max_flops`. None where every step costs the same.
    """

    name: str
    tasks: str
    config_class: type
    model_class: str
    count: Callable[..., Counts]
    rules: Sequence[Rule]
    width: str
    inner_width: str
    parametric_fields: frozenset[str]
    metrics: tuple[str, ...]
    cost_only_fields: tuple[str, ...] = ()
    min_flops_per_step: Callable[[Any, int], int] | None = None

    @property
    def adaptive(self) -> bool:
        """Whether the data decide the cost of a training step."""
        return self.min_flops_per_step is not None

    @property
    def non_parametric_fields(self) -> frozenset[str]:
        """Fields that do not change the number of parameters."""
        return (
            frozenset(field.name for field in dataclasses.fields(self.config_class)) - self.parametric_fields
        )

    def __reduce__(self) -> tuple[Callable[[str], Family], tuple[str]]:
        """Return what pickles by name, because the rules are functions, which pickle does not take."""
        return get_family, (self.name,)

    def build(self, config: Any) -> Any:
        """Return the model of a config, initialized from torch's global generator. Only this imports torch."""
        return import_object(self.model_class, f"family {self.name}", type)(config)


FAMILIES = {"puzzle": "hrm.models.puzzle:FAMILY", "text": "hrm.models.text:FAMILY"}
"""Import paths of the families that ship, by name."""


def list_families() -> list[str]:
    """Return the names of the families that ship."""
    return list(FAMILIES)


@cache
def get_family(name: str) -> Family:
    """Return the family of that name, or the one outside this package at an import path `package.module:FAMILY`.

    Raises:
        UnknownNameError: there is no family of that name.
        ImportPathError: the path does not lead to a family.
    """
    if name in FAMILIES:
        return import_object(FAMILIES[name], "family", Family)
    if is_import_path(name):
        return dataclasses.replace(import_object(name, "family", Family), name=name)
    raise UnknownNameError.among("family", name, FAMILIES)
