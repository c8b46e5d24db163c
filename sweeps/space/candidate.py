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
from hrm.config.schema import build_config, convert_fields
from hrm.config.train_config import TrainConfig
from hrm.data.registry import get_task_class
from hrm.models.registry import get_family
from sweeps.config import SweepConfig
from sweeps.errors import SpaceError
from sweeps.space.budget import Budget, FlopsBudget
from sweeps.space.constraints import COUNTED, FLOPS_PER_STEP, PARAMS, CostModel, Costs, compute_costs


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
    costs: Costs
    """Of every counted constraint (see `sweeps.space.constraints`)."""
    architecture: str
    """Equal exactly when two candidates are one architecture: a digest of the config's `architecture`."""
    key: str
    """Equal exactly when two candidates are one trial but for the seed: architecture, training and task."""

    @property
    def inner_over_width(self) -> float:
        """Inner width of the feed-forward layers over the model's width."""
        family = get_family(self.run.family)
        inner: int = getattr(self.run.model, family.inner_width)
        width: int = getattr(self.run.model, family.width)
        return inner / width


@dataclass(frozen=True, kw_only=True)
class PresetFit:
    """A preset beside the budget of a sweep."""

    name: str
    num_params: int | None = None
    """Exact, built for the task; None where it cannot be built (see `violation`)."""
    flops_per_step: int | None = None
    steps: int | None = None
    """Within the FLOPs of a trial; too few to train where `violation` says so."""
    violation: str | None
    """Why it is no baseline of the sweep; None when it fits."""


class CandidateBuilder:
    """Builds configurations for the task and the rules of one sweep.

    Args:
        config: the sweep.
        model_fields: what the task's data decide of the model (`Dataset.model_fields`).

    Raises:
        UserError: a rule, the reference preset or a task option is at fault.

    Example:
        >>> config = SweepConfig(space={}, task={"name": "sudoku6"}, model={"halt_max_steps": 4})
        >>> builder = CandidateBuilder(config, {"vocab_size": 11, "seq_len": 36, "num_puzzle_identifiers": 1})
        >>> tiny = builder.preset("tiny_demo", lr=3e-3)
        >>> tiny.num_params, tiny.run.train.lr, tiny.run.model.halt_max_steps
        (527490, 0.003, 4)
        >>> builder.fit_preset("small_sudoku", Budget.of(max_params=1_000_000)).violation
        'exceeds budget.max_params=1,000,000'
    """

    def __init__(self, config: SweepConfig, model_fields: Mapping[str, int]) -> None:
        self._config = config
        self.family = get_family(config.family)
        self.task_fields = dict(model_fields)
        self.rules = self._read_rules()
        """The model fields that hold in every arm: `config.model`, then what the task decides."""
        task_class = get_task_class(str(config.task.get("name", DEFAULT_TASK)))
        self._task: Any = build_config(task_class, config.task, "task")
        names = [field.name for field in dataclasses.fields(TrainConfig)]
        self.train = TrainConfig(**{name: getattr(config.train, name) for name in names})
        self.flops_budget = FlopsBudget(self.train.steps, self.train.num_reports, self._count_flops())

    def build(
        self, model: Any, train: TrainConfig, params: dict[str, Any], values: dict[str, Any]
    ) -> Candidate | None:
        """Return the configuration with this model and these training rules, at equal compute.

        Args:
            model: a config of the family.
            train: `steps` is replaced by the model's own; an adaptive family, whose steps may cost less than
                they are counted, also gets the FLOPs as `max_flops`, and makes at least `steps`.

        Returns:
            None where the FLOPs leave it too few steps.
        """
        costs = self._count(model, train)
        flops_per_step = int(costs[FLOPS_PER_STEP.name])
        if self.flops_budget.describe_violation(flops_per_step):
            return None
        train = dataclasses.replace(
            train,
            steps=self.flops_budget.count_steps(flops_per_step),
            max_flops=self.flops_budget.flops if self.family.adaptive else train.max_flops,
        )
        run = RunConfig(
            family=self.family.name,
            model=model,
            task=self._task,
            train=train,
            device=self._config.device,
            threads=self._config.resources.cpus_per_trial,
        )
        architecture = _digest([self.family.name, model.architecture])
        return Candidate(
            params=params,
            values=values,
            run=run,
            num_params=int(costs[PARAMS.name]),
            flops_per_step=flops_per_step,
            costs=costs,
            architecture=architecture,
            key=_digest([architecture, vars(train), vars(self._task)]),
        )

    def preset(self, name: str, lr: float | None = None) -> Candidate:
        """Return a preset under the sweep's task, rules and FLOPs, whether or not the budget allows it.

        The FLOPs must leave it enough steps (see `fit_preset`).

        Args:
            lr: its learning rate; None is the sweep's `train.lr`.

        Raises:
            UserError: there is no such preset, or the rules break it.
        """
        values, model = self._preset_model(name)
        train = self.train if lr is None else dataclasses.replace(self.train, lr=lr)
        candidate = self.build(model, train, {}, values)
        assert candidate is not None, f"preset {name} does not fit"
        return candidate

    def preset_costs(self, name: str) -> Costs:
        """Return the costs of a preset, built for the task, under the sweep's rules.

        Raises:
            UserError: there is no such preset, or the rules break it.
        """
        return self._count(self._preset_model(name)[1], self.train)

    def fit_preset(self, name: str, budget: Budget) -> PresetFit:
        """Return how a preset fits the budget, whether or not it can be trained.

        Raises:
            UnknownNameError: there is no such preset.
        """
        load_preset(name)
        try:
            _, model = self._preset_model(name)
        except UserError as error:
            return PresetFit(name=name, violation=str(error))
        costs = self._count(model, self.train)
        flops_per_step = int(costs[FLOPS_PER_STEP.name])
        violations = (
            budget.describe_violations(costs),
            self.flops_budget.describe_violation(flops_per_step),
        )
        return PresetFit(
            name=name,
            num_params=int(costs[PARAMS.name]),
            flops_per_step=flops_per_step,
            steps=self.flops_budget.count_steps(flops_per_step),
            violation="; ".join(filter(None, violations)) or None,
        )

    def _read_rules(self) -> dict[str, Any]:
        for name, given in self._config.model.items():
            if name in self.task_fields:
                rule = f"the task sets it to {self.task_fields[name]}"
                raise ConfigError(f"model.{name}", given, rule, "Leave it out.")
        return convert_fields(self.family.config_class, self._config.model, "model") | self.task_fields

    def _count(self, model: Any, train: TrainConfig) -> Costs:
        return compute_costs(CostModel(self.family, model, train), COUNTED)

    def _preset_model(self, name: str) -> tuple[dict[str, Any], Any]:
        preset = load_preset(name)
        if not preset.fits_family(self.family.name):
            rule = f"is of the family {preset.family}, the sweep of {self.family.name}"
            raise SpaceError("preset", name, rule)
        try:
            model: Any = build_config(self.family.config_class, {**preset.model, **self.rules}, "model")
        except ConfigError as error:
            where = f"preset {name} under this sweep's rules: {error.where}"
            raise ConfigError(where, error.given, error.rule, error.hint) from None
        return dict(preset.model), model

    def _count_flops(self) -> int | None:
        """Return the training FLOPs of the reference; None at equal steps."""
        name = self._config.train.reference
        if name not in list_presets():
            raise UnknownNameError.among("train.reference", name, list_presets())
        if self._config.train.equal == "steps":
            return None
        _, reference = self._preset_model(name)
        return int(self._count(reference, self.train)[FLOPS_PER_STEP.name]) * self.train.steps


def _digest(values: Any) -> str:
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]
