"""A sweep's configuration: one tree of dataclasses, composed by Hydra (see `sweeps.cli.main`)."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import operator
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, make_dataclass
from typing import Any, TypeVar, get_type_hints

from hrm.config.errors import ConfigError, UnknownNameError
from hrm.config.schema import build_config
from hrm.config.train_config import TrainConfig
from sweeps.space.constraints import CONSTRAINTS, MEASURED

EQUAL = ("flops", "steps")
WANDB_MODES = ("disabled", "offline", "online")
AUTO = "auto"
"""As many as processors and memory allow."""


def _make_bound_fields() -> Iterator[tuple[str, Any, Any]]:
    """Yield name, type and default of the two options that each constraint has."""
    for name, one in CONSTRAINTS.items():
        preset = "" if one.measured else ", or a preset's name"
        needs = " Needs `deterministic=false`." if one.measured else ""
        share = f", or a fraction of `max_{name}` below 1" if one.unit.is_whole else ""
        helps = {
            "max": f"Upper bound on {one.description}: {one.unit.examples}{preset}.{needs}",
            "min": f"Lower bound: the same{share}.",
        }
        for side, text in helps.items():
            yield f"{side}_{name}", int | float | str | None, field(default=None, metadata={"help": text})


_Bounds = make_dataclass("_Bounds", _make_bound_fields(), frozen=True, kw_only=True)


class BudgetConfig(_Bounds):  # type: ignore[misc, valid-type]
    """Inclusive bounds, all exact and checked before anything is trained.

    Each is a number, a number with a suffix, or a preset's name: that preset's own figure under the sweep's
    rules. A `min_` bound may also be a fraction of its `max_`, below 1. Null is no bound. The fields are those of
    `sweeps.space.constraints`; each trial checks the measured ones on its device before its first step.
    """

    def get_given(self, name: str) -> dict[str, Any]:
        """Return the bounds that are set for a constraint, by option.

        >>> BudgetConfig(max_params="0.5M").get_given("params")
        {'budget.max_params': '0.5M'}
        """
        values = {f"budget.{side}_{name}": getattr(self, f"{side}_{name}") for side in ("max", "min")}
        return {option: value for option, value in values.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class SweepTrainConfig(TrainConfig):
    """The training rules of every trial, baselines included."""

    equal: str = "flops"
    """`flops`: each trial spends the FLOPs that the reference spends in `steps`. `steps`: each trains for `steps`."""
    reference: str = "tiny_demo"
    """The preset whose FLOPs per step, times `steps`, is every trial's FLOPs budget with `equal=flops`."""


@dataclass(frozen=True, kw_only=True)
class StopConfig:
    """Stopping criteria of the whole sweep: the first to be reached ends the search, and the report says which.

    They bound search and baselines; confirmations come on top, but for `hours`.
    """

    trials: int | None = None
    """Trials to start, search and baselines together."""
    hours: float | None = None
    """Wall time since the first trial could start, or since the sweep was resumed. It also ends baselines and
    confirmations, and is not reproducible."""
    flops: int | str | None = None
    """Training FLOPs of search and baselines, including pruned and failed trials: `1e15`, `500T` or `2.5P`."""
    no_improvement: int | None = None
    """Search trials in a row without an improvement of the best value."""


@dataclass(frozen=True, kw_only=True)
class BaselineConfig:
    presets: list[str] | None = None
    """Presets to train as baselines; null is every preset that fits the budget."""
    trials: int | None = None
    """Baseline trials of each preset, over the space's learning-rate grid; null is max(3, num_trials / 4)."""
    random: bool = False
    """Random search as a further baseline: random configurations, trained until they have spent the FLOPs of the
    search. It takes about as long as the search, or longer if the search prunes."""


@dataclass(frozen=True, kw_only=True)
class ConfirmConfig:
    finalists: int = 2
    """Best search configurations that are trained again on fresh seeds, like the baselines; 0 is none."""
    seeds: int = 3
    """Fresh seeds of each arm, the same in every arm."""


@dataclass(frozen=True, kw_only=True)
class ResourcesConfig:
    cpus_per_trial: int = 1
    """Processors, and torch threads, of each trial."""
    trials_per_gpu: int | str = AUTO
    """Trials that share a GPU; `auto` is as many as its memory holds, by the counted size of the largest model."""


@dataclass(frozen=True, kw_only=True)
class RayConfig:
    address: str | None = None
    """Null starts a local Ray; `auto` joins the running cluster."""
    storage_path: str | None = None
    """Where running jobs keep their checkpoints: a path or URI (`s3://bucket/folder`) that all nodes can reach; null
    is the output folder."""


@dataclass(frozen=True, kw_only=True)
class WandbConfig:
    mode: str = "offline"
    """`disabled`, `offline` or `online`."""
    project: str = "hrm-sweeps"
    """The W&B project of the runs."""
    entity: str | None = None
    """The user or team whose project it is; null is the login's own."""


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """Everything that decides a sweep.

    Raises:
        ConfigError: a value is out of range.
    """

    space: dict[str, Any]
    """The space as its YAML has it: name, question, parameters, derived, fixed (see `sweeps.space.space`)."""
    task: dict[str, Any] = field(default_factory=dict)
    """`name` and the task's own options."""
    model: dict[str, Any] = field(default_factory=dict)
    """Model fields that hold in every arm, presets included (rules such as halt_max_steps, forward_dtype)."""
    train: SweepTrainConfig = field(default_factory=SweepTrainConfig)
    family: str = "puzzle"
    """Model family: `puzzle` or `text`. A space of text models sets it."""
    num_trials: int = 16
    """Search trials to start; baselines and confirmations come on top."""
    resume_pruned: int = 0
    """Pruned trials that are trained to their end once the search has ended, the most promising first. Above 0 the
    checkpoints of all pruned trials are kept."""
    replicates: int = 1
    """Most search trials of one configuration. A completed one that is proposed again is trained on a new seed."""
    objective: str = "valid/blank_accuracy"
    """The metric that the search improves: accuracies rise, losses fall (see `sweeps.search.objectives`)."""
    objectives: list[Any] | None = None
    """Several objectives, for a Pareto front: a metric, then metrics, `params`, `flops` (of inference), `bytes`
    or `latency`."""
    reference_point: list[Any] | None = None
    """With `objectives`: the hypervolume's reference point, one value each. Null is accuracy 0, a cost's budget."""
    seed: int = 0
    """Determines every suggestion and the seeds of all trainings."""
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    sampler: dict[str, Any] = field(default_factory=lambda: {"name": "tpe"})
    """`name` and that sampler's options."""
    pruner: dict[str, Any] = field(default_factory=lambda: {"name": "successive_halving"})
    stop: StopConfig = field(default_factory=StopConfig)
    baseline: BaselineConfig = field(default_factory=BaselineConfig)
    confirm: ConfirmConfig = field(default_factory=ConfirmConfig)
    resources: ResourcesConfig = field(default_factory=ResourcesConfig)
    ray: RayConfig = field(default_factory=RayConfig)
    wandb: WandbConfig = field(default_factory=WandbConfig)
    max_concurrent: int | str = AUTO
    """Trials that run at once; `auto` is as many as processors, GPUs and counted memory allow."""
    max_failures: int = 3
    """How often a job is run again when its machine fails it: a killed worker, a lost node. A job that fails by
    an error of its own is not run again."""
    checkpoint_seconds: float = 5.0
    """Least time between two checkpoints of a running job. They take at most 1% of its time."""
    deterministic: bool = True
    """Decisions depend on the order of trials and not on which worker was faster."""
    device: str = "auto"
    """`auto` is CUDA if there is any, else MPS, else `cpu`. A device given by name is used as it is."""
    out: str | None = None
    """Output folder; null is `outputs/<space>-<time>`."""
    dry_run: bool = False
    """Print the space and its counts, and train nothing."""

    def __post_init__(self) -> None:
        for name, least, alternative in _LEAST_VALUES:
            given = _get_option(self, name)
            if given is None or given == AUTO:
                continue
            if isinstance(given, str) or given < least:
                raise ConfigError(name, given, f"must be at least {least}{alternative}")
        for name, choices in (("train.equal", EQUAL), ("wandb.mode", WANDB_MODES)):
            if (given := _get_option(self, name)) not in choices:
                raise ConfigError(name, given, f"must be one of: {', '.join(choices)}")
        if self.stop.hours is not None and self.stop.hours <= 0:
            raise ConfigError("stop.hours", self.stop.hours, "must be above 0, or null")
        if self.resume_pruned and self.pruner.get("name") == "none":
            rule = "needs a pruner, for pruner=none leaves nothing to resume"
            raise ConfigError("resume_pruned", self.resume_pruned, rule)
        if self.reference_point is not None and not self.objectives:
            rule = "goes with objectives=[...], whose hypervolume begins there"
            raise ConfigError("reference_point", self.reference_point, rule)
        for name in MEASURED if self.deterministic else ():
            for option, given in self.budget.get_given(name).items():
                rule = "needs deterministic=false, for a measurement depends on the machine"
                raise ConfigError(option, given, rule)

    @property
    def num_baseline_trials(self) -> int:
        """Trials of each preset: `baseline.trials`, or a quarter of the search but at least 3."""
        return self.baseline.trials or max(3, -(-self.num_trials // 4))

    @property
    def limits(self) -> dict[str, Any]:
        """The values of `LIMITS`, by dotted name."""
        return {name: _get_option(self, name) for name in LIMITS}

    def with_limits(self, limits: Mapping[str, Any]) -> SweepConfig:
        """Return the configuration with these values of `LIMITS`."""
        config = self
        for name, value in limits.items():
            section, _, option = name.rpartition(".")
            changed = {option: value}
            if section:
                changed = {section: dataclasses.replace(getattr(config, section), **changed)}
            config = dataclasses.replace(config, **changed)
        return config


def _get_option(config: SweepConfig, name: str) -> Any:
    return operator.attrgetter(name)(config)


LIMITS = (
    *("num_trials", "resume_pruned", "baseline.trials", "confirm.finalists", "confirm.seeds"),
    *("stop.trials", "stop.hours", "stop.flops", "stop.no_improvement"),
)
"""Options, by dotted name, of which a higher value extends a sweep that is resumed."""
_LEAST_VALUES = (
    ("num_trials", 1, ""),
    ("resume_pruned", 0, ""),
    ("replicates", 1, ""),
    ("seed", 0, ""),
    ("stop.trials", 1, ", or null"),
    ("stop.no_improvement", 1, ", or null"),
    ("baseline.trials", 1, ", or null"),
    ("confirm.finalists", 0, ""),
    ("confirm.seeds", 2, ": one run has no spread"),
    ("max_concurrent", 1, ", or auto"),
    ("resources.trials_per_gpu", 1, ", or auto"),
    ("resources.cpus_per_trial", 1, ""),
    ("max_failures", 0, ""),
    ("checkpoint_seconds", 0, ""),
)
"""Options, the least value of each, and what a message adds."""
RENAMED_OPTIONS = {"revive": "resume_pruned"}
"""Options of earlier versions, which are accepted with a notice, and their names since."""


def update_options(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored options, dotted or nested, as this version has them.

    Options that were removed are left out where they have their defaults.

    >>> update_options({"revive": 2, "seed": 1})
    {'resume_pruned': 2, 'seed': 1}
    """
    removed = ("pruning", {"fidelity": "fraction", "within": "all"})
    kept = {name: value for name, value in stored.items() if (name, value) != removed}
    return {RENAMED_OPTIONS.get(name, name): value for name, value in kept.items()}


def update_option_name(name: str) -> str:
    """Return an option's name of today, and print a notice if that is another."""
    new = RENAMED_OPTIONS.get(name, name)
    if new != name:
        print(f"note: {name} is called {new} now", file=sys.stderr)
    return new


def accept_renamed_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of a user by their names of today, with a notice for each that has another now.

    Raises:
        ConfigError: an option was removed; the message names what to use instead.
    """
    if "pruning" in given:
        raise ConfigError(
            "pruning",
            given["pruning"],
            "pruning.fidelity and pruning.within were removed: trials are compared with all others, at the same "
            "fraction of each one's own run",
            "Use train.equal=steps to compare at equal steps, pruner.min_resource=N to spare slow starters",
        )
    return update_options({update_option_name(name): value for name, value in given.items()})


T = TypeVar("T")


def build_named(
    registry: Mapping[str, Callable[..., T]], section: Mapping[str, Any], where: str, *args: Any
) -> T:
    """Return `registry[section["name"]](*args, **options)`, with the section's other options checked.

    The function's keyword-only parameters are the options: their annotations give the types, their defaults the
    defaults. So adding an entry to a registry takes a function and a line.

    Raises:
        UnknownNameError: no such name in the registry, or no such option.
        ConfigError: an option's type or range is wrong.

    >>> def serve_cup(drink: str, *, sugar: int = 0) -> str:
    ...     return f"{drink}, {sugar} sugar"
    >>> build_named({"cup": serve_cup}, {"name": "cup", "sugar": "2"}, "order", "tea")
    'tea, 2 sugar'
    """
    name = str(section.get("name"))
    if name not in registry:
        raise UnknownNameError.among(f"{where}.name", name, registry)
    given = {key: value for key, value in section.items() if key != "name"}
    schema = _make_options_class(registry[name])
    names = [field.name for field in dataclasses.fields(schema)]
    if given and not names:
        option = next(iter(given))
        raise ConfigError(f"{where}.{option}", given[option], f"{name} takes no options")
    options: Any = build_config(schema, given, where)
    try:
        return registry[name](*args, **{name: getattr(options, name) for name in names})
    except ValueError as error:  # how Optuna refuses a range
        raise ConfigError(where, dict(section), str(error)) from None


@functools.cache
def _make_options_class(function: Callable[..., Any]) -> type:
    """Return a dataclass of the function's keyword-only parameters."""
    hints = get_type_hints(function)
    fields = [
        (parameter.name, hints[parameter.name], dataclasses.field(default=parameter.default))
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    return dataclasses.make_dataclass("Options", fields)


def check_at_least(where: str, value: float, least: int) -> None:
    """Check a lower bound.

    Raises:
        ConfigError: `value` is below `least`.
    """
    if value < least:
        raise ConfigError(where, value, f"must be at least {least}")
