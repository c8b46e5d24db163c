"""The Hierarchical Reasoning Model: architectures, exact counting, tasks and trainer.

This package needs neither Ray, Optuna, Hydra, W&B nor sweeps: it could be published alone.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # importing hrm does not import torch
    from hrm.models.base import Model

__all__ = ["build"]


def build(config: Any, **overrides: Any) -> Model:
    """Build a model, with weights drawn from torch's global generator.

    Args:
        config: the name of a preset, the path of a saved config (a sweep's `best.yaml`, a run's `config.yaml`), a
            `RunConfig`, or the config of a family, such as `PuzzleHRMConfig`.
        overrides: fields of the model's config that differ.

    Returns:
        The model on torch's default device, in training mode, in float32.

    Raises:
        UserError: there is no such preset, file or field, or a value breaks its rule.

    Example:
        >>> import hrm
        >>> model = hrm.build("tiny_demo", H_layers=2)
        >>> sum(parameter.numel() for parameter in model.parameters())
        789506
    """
    from hrm.config.errors import ConfigError
    from hrm.config.presets import load_preset
    from hrm.config.run_config import RunConfig, load_run_config
    from hrm.config.schema import build_config
    from hrm.models.registry import get_family, list_families

    if isinstance(config, Path) or str(config).endswith((".yaml", ".yml")):
        config = load_run_config(Path(config))
    if isinstance(config, str):
        preset = load_preset(config)
        family, fields = get_family(preset.family), preset.model
    elif isinstance(config, RunConfig):
        family, fields = get_family(config.family), dataclasses.asdict(config.model)
    else:
        families = [entry for entry in map(get_family, list_families()) if type(config) is entry.config_class]
        if not families:
            rule = "must be a preset's name, a path, a RunConfig or the config of a family that ships"
            raise ConfigError("config", config, rule)
        family, fields = families[0], dataclasses.asdict(config)
    model: Model = family.build(build_config(family.config_class, {**fields, **overrides}, "model"))
    return model
