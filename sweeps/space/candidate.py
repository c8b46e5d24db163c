"""One configuration that a sweep may train, built for the task, under the rules and at equal compute."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hrm.config.errors import ConfigError, UnknownNameError, UserError
from hrm.config.presets import list_presets, load_preset
from hrm.config.run_config import DEFAULT_TASK, RunConfig
from hrm.config.schema import build_config
from hrm.config.train_config import TrainConfig
from hrm.data.registry import get_task_kind
from hrm.models.registry import get_family
from sweeps.config import SweepConfig
from sweeps.errors import SpaceError
from sweeps.space.constraints import FLOPS_PER_STEP, PARAMS, Budget, CostModel, Figures, FlopsBudget
from sweeps.space.parameters import Fields
from sweeps.space.resolver import model_rules


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One configuration that may be trained."""

    params: dict[str, Any]
    """Searched values, as Optuna sees them; none for a preset."""
    values: dict[str, Any]
    """Searched and derived values by name; a preset's are its own model fields."""
    run: RunConfig
    """Complete but for the seed: the model is built for the task, `train.steps` is its own length."""
    num_params: int
    """Trainable plus puzzle-embedding parameters, exact."""
    flops_per_step: int
    """Training FLOPs of one optimizer step; the most, where the data decide."""
    figures: Figures
    """Of every measure that a budget can bound (see `sweeps.space.constraints`)."""
    architecture: str
    """Equal exactly when two candidates are one architecture: a digest of the config's `architecture`."""
    key: str
    """Equal exactly when two candidates are one trial but for the seed: architecture, training and task."""

    @property
    def inner_over_width(self) -> float:
        """Inner width of the feed-forward layers over the model's width."""
        lattice = get_family(self.run.family).lattice
        inner: int = getattr(self.run.model, lattice.inner_width)
        width: int = getattr(self.run.model, lattice.width)
        return inner / width


def fullness(candidate: Candidate, budget: Budget) -> float | None:
    """The share of the budget that a candidate uses; None without an upper bound."""
    return budget.fullness(candidate.num_params)


def is_iso_parameter(candidate: Candidate, budget: Budget) -> bool:
    """Whether a candidate is near enough to the budget to be compared as equal in parameters."""
    return budget.is_iso_parameter(candidate.num_params)


@dataclass(frozen=True, kw_only=True)
class PresetFit:
    """Where a preset stands in a sweep."""

    name: str
    num_params: int | None = None
    """Exact, built for the task; None where it cannot be built (see `misfit`)."""
    flops_per_step: int | None = None
    steps: int | None = None
    """At the sweep's compute; too few to train where `misfit` says so."""
    misfit: str | None
    """Why it is no baseline of the sweep; None when it fits."""


class Builder:
    """Builds configurations for the task and the rules of one sweep.

    Args:
        config: the sweep.
        model_fields: what the task's data decide of the model (`Dataset.model_fields`).

    Raises:
        UserError: a rule, the reference preset or a task option is at fault.
    """

    def __init__(self, config: SweepConfig, model_fields: Mapping[str, int]) -> None:
        self._config = config
        self._family = get_family(config.family)
        self.rules = model_rules(config, Fields(config.family), model_fields)
        self._task: Any = build_config(
            get_task_kind(str(config.task.get("name", DEFAULT_TASK))).config_class, config.task, "task"
        )
        self.train = TrainConfig(
            **{field.name: getattr(config.train, field.name) for field in dataclasses.fields(TrainConfig)}
        )
        self.meter = CostModel(self._family, self.train)
        self.compute = FlopsBudget(self.train.steps, self.train.num_reports, self._allowance())

    def build(
        self, model: Any, train: TrainConfig, params: dict[str, Any], values: dict[str, Any]
    ) -> Candidate | None:
        """The configuration with this model and these training rules, at equal compute.

        Args:
            model: a config of the family.
            train: `steps` is replaced by the model's own; an adaptive family, whose steps may cost less than
                they are counted, also gets the allowance as `max_flops`, and makes at least `steps`.

        Returns:
            None where the compute leaves it too few steps.
        """
        figures = self.meter.figures(model, train)
        flops_per_step = figures[FLOPS_PER_STEP.name]
        if self.compute.misfit(flops_per_step):
            return None
        train = dataclasses.replace(
            train,
            steps=self.compute.steps_for(flops_per_step),
            max_flops=self.compute.allowance if self._family.adaptive else train.max_flops,
        )
        run = RunConfig(family=self._family.name, model=model, task=self._task, train=train,
                        device=self._config.device,
                        threads=self._config.resources.cpus_per_trial)  # fmt: skip
        architecture = _digest([self._family.name, model.architecture])
        return Candidate(
            params=params,
            values=values,
            run=run,
            num_params=figures[PARAMS.name],
            flops_per_step=flops_per_step,
            figures=figures,
            architecture=architecture,
            key=_digest([architecture, vars(train), vars(self._task)]),
        )

    def preset(self, name: str, lr: float | None = None) -> Candidate:
        """A preset under the sweep's task, rules and compute, whether or not the budget allows it.

        Args:
            lr: its learning rate; None is the sweep's `train.lr`.

        Raises:
            UserError: there is no such preset, the rules break it, or the compute leaves it too few steps.
        """
        values, model = self._preset_model(name)
        train = self.train if lr is None else dataclasses.replace(self.train, lr=lr)
        candidate = self.build(model, train, {}, values)
        if candidate is None:
            figures = self.meter.figures(model, train)
            reason = self.compute.misfit(figures[FLOPS_PER_STEP.name])
            raise SpaceError("preset", name, f"{reason} (it has {figures[PARAMS.name]:,} parameters)",
                             "Raise train.steps, or compare at train.equal=steps.")  # fmt: skip
        return candidate

    def preset_figures(self, name: str) -> Figures:
        """What a preset has and takes, built for the task, under the sweep's rules.

        Raises:
            UserError: there is no such preset, or the rules break it.
        """
        return self.meter.figures(self._preset_model(name)[1], self.train)

    def place(self, name: str, budget: Budget) -> PresetFit:
        """Where a preset stands, whether or not it can be trained.

        Raises:
            UnknownNameError: there is no such preset.
        """
        load_preset(name)
        try:
            _, model = self._preset_model(name)
        except UserError as error:
            return PresetFit(name=name, misfit=str(error))
        figures = self.meter.figures(model, self.train)
        flops_per_step = figures[FLOPS_PER_STEP.name]
        misfits = (budget.misfit(figures), self.compute.misfit(flops_per_step))
        return PresetFit(
            name=name,
            num_params=figures[PARAMS.name],
            flops_per_step=flops_per_step,
            steps=self.compute.steps_for(flops_per_step),
            misfit="; ".join(misfit for misfit in misfits if misfit) or None,
        )

    def _preset_model(self, name: str) -> tuple[dict[str, Any], Any]:
        preset = load_preset(name)
        if preset.family != self._family.name:
            raise SpaceError(
                "preset", name, f"is of the family {preset.family}, the sweep of {self._family.name}"
            )
        try:
            model: Any = build_config(self._family.config_class, {**preset.model, **self.rules}, "model")
        except ConfigError as error:
            where = f"preset {name} under this sweep's rules: {error.where}"
            raise ConfigError(where, error.given, error.rule, error.hint) from None
        return dict(preset.model), model

    def _allowance(self) -> int | None:
        name = self._config.train.reference
        if name not in list_presets():
            raise UnknownNameError.among("train.reference", name, list_presets())
        if self._config.train.equal == "steps":
            return None
        _, reference = self._preset_model(name)
        return self.meter.figures(reference, self.train)[FLOPS_PER_STEP.name] * self.train.steps


def _digest(values: Any) -> str:
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]
