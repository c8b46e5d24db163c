"""A configuration as command-line overrides: of our trainer, and of the official repository's `pretrain.py`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from hrm.run_config import RunConfig

FROM_DATA = ("vocab_size", "seq_len", "num_puzzle_identifiers")
"""Model fields that the data set."""
OFFICIAL_ARCH = ("hidden_size", "num_heads", "H_layers", "L_layers", "H_cycles", "L_cycles", "expansion",
                 "pos_encodings", "halt_max_steps", "halt_exploration_prob")  # fmt: skip
"""Keys of the official `config/arch/hrm_v1.yaml` under the same name."""
OFFICIAL_ADDED = ("forward_dtype", "rms_norm_eps", "rope_theta")
"""Fields of the official model that its YAML leaves out: Hydra wants a + before them."""
OFFICIAL_TRAIN = (
    "lr",
    "lr_min_ratio",
    "weight_decay",
    "beta1",
    "beta2",
    "puzzle_emb_lr",
    "puzzle_emb_weight_decay",
)


def ours(config: dict[str, Any]) -> list[str]:
    """What `python -m hrm.train` takes to train the configuration: all that differs from the defaults.

    Args:
        config: a resolved run configuration of the tables.
    """
    task = config["task"]["name"]
    defaults = RunConfig.from_dict({"family": config["family"], "task": {"name": task}}).to_dict()
    found = [f"task={_text(task)}"]
    if config["family"] != RunConfig.__dataclass_fields__["family"].default:
        found.insert(0, f"family={config['family']}")
    for section in ("task", "model", "train"):
        for name, value in config[section].items():
            if (
                value != defaults[section].get(name)
                and name not in FROM_DATA
                and (section, name) != ("task", "name")
            ):
                found.append(f"{section}.{name}={_text(value)}")
    return [*found, f"seed={config['seed']}"]


def official(config: dict[str, Any]) -> tuple[list[str], list[str]] | None:
    """The same for the official HRM repository; None for a model that is not its HRM.

    Returns:
        Overrides of its `config/cfg_pretrain.yaml`, and what they cannot say, in sentences.
    """
    if config["family"] != "puzzle":
        return None
    model, train = config["model"], config["train"]
    found = [f"arch.{name}={_text(model[name])}" for name in OFFICIAL_ARCH]
    found.append(f"arch.puzzle_emb_ndim={_text(_or(model['puzzle_emb_ndim'], model['hidden_size']))}")
    found.append(f"arch.loss.loss_type={model['loss_type']}")
    found += [f"+arch.{name}={_text(model[name])}" for name in OFFICIAL_ADDED]
    found += [f"{name}={_text(train[name])}" for name in OFFICIAL_TRAIN]
    warmup = _or(train["lr_warmup_steps"], round(train["lr_warmup_fraction"] * train["steps"]))
    found += [f"lr_warmup_steps={warmup}", f"global_batch_size={train['batch_size']}"]
    puzzles = config["task"].get("train_puzzles")
    if puzzles:
        epochs = math.ceil(train["steps"] * train["batch_size"] / puzzles)
        found += [f"epochs={epochs}", f"eval_interval={epochs}"]
    return [*found, f"+seed={config['seed']}"], list(_beyond_official(model, train))


def _beyond_official(model: dict[str, Any], train: dict[str, Any]) -> Iterator[str]:
    period = model["h_update_period"]
    if period is not None and period != model["L_cycles"]:
        yield f"H updates every {period} L-steps here; the official code updates it every L_cycles."
    if _inner(model, model["mlp_multiple"]) != _inner(model, 256):
        inner = _inner(model, model["mlp_multiple"])
        yield f"The feed-forward layers are {inner} wide here; the official code rounds to {_inner(model, 256)}."
    if not model["q_continue"]:
        yield "Trained here without the continue value (q_continue=false); the official code always trains it."
    if model["gradient_L_steps"] != 1:
        yield f"The gradient flows through {model['gradient_L_steps']} L-steps here, one in the official code."
    if train["ema"]:
        yield f"Evaluated here with averaged weights (ema={train['ema']}), which the official code does not have."


def _inner(model: dict[str, Any], multiple: int) -> int:
    wanted = round(model["expansion"] * model["hidden_size"] * 2 / 3)
    return -(-wanted // multiple) * multiple


def _or(value: Any, other: Any) -> Any:
    return other if value is None else value


def _text(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
