"""A configuration as command-line overrides: of our trainer, and of the official repository's `pretrain.py`."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from hrm.config.run_config import RunConfig
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.report.blocks import Block, Code, Items, Section, Table, Text
from sweeps.report.format import count

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


def list_trainer_overrides(config: dict[str, Any]) -> list[str]:
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


def list_official_overrides(config: dict[str, Any]) -> tuple[list[str], list[str]] | None:
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


def presets_left_out(folder: SweepFolder) -> Section | None:
    """Presets that were not trained, with the reason."""
    rows = [
        [preset.name, count(preset.params), preset.left_out]
        for preset in folder.metadata.presets
        if preset.left_out is not None
    ]
    return Section("Presets left out", [Table(["preset", "parameters", "reason"], rows)]) if rows else None


def provenance(folder: SweepFolder) -> Section:
    """Code, versions, machine, space and data."""
    metadata, found = folder.metadata, folder.metadata.provenance
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items() if version)
    lines = [
        f"code: {found.commit or 'not in a repository'}{', with changes' if found.dirty else ''}",
        f"versions: {versions}",
        f"machine: {machine(folder)}",
        f"space {metadata.space_hash[:16]}, data {metadata.data_fingerprint[:16]}",
    ]
    for name, number in metadata.space_counts.items():
        lines.append(f"{name.replace('_', ' ')} in the space: {count(number)}")
    return Section("Where this comes from", [Items(lines)])


def machine(folder: SweepFolder) -> str:
    """`Intel Xeon, 2 cores, no GPU`."""
    hardware = folder.metadata.provenance.hardware
    if not hardware:
        return "an unknown machine"
    gpus = ", ".join(hardware["gpus"]) if hardware["gpus"] else "no GPU"
    return f"{hardware['cpu']}, {hardware['cores']} cores, {gpus}"


def again(folder: SweepFolder) -> Section:
    """The commands that repeat the sweep and train its winner."""
    command = shlex.join(["python", "run_sweep.py", *folder.metadata.command])
    blocks: list[Block] = [Text("The same sweep:"), Code(command)]
    if folder.best_config is not None:
        blocks += _retraining(folder.best_config)
    return Section("Again", blocks)


def _retraining(config: dict[str, Any]) -> list[Block]:
    blocks: list[Block] = [
        Text("The best configuration alone, from this folder (`best.yaml` says what it is):"),
        Code("python -m hrm.train config=best.yaml"),
        Text("The same without the file:"),
        Code(_command("python -m hrm.train", list_trainer_overrides(config))),
    ]
    official = list_official_overrides(config)
    if official is None:
        return blocks
    given, beyond = official
    blocks += [
        Text("As overrides of the official HRM repository, with a `data_path` of its own:"),
        Code(_command("python pretrain.py", given)),
    ]
    return [*blocks, Items(beyond)] if beyond else blocks


def _command(program: str, arguments: Sequence[str]) -> str:
    """A shell command in lines of readable length."""
    lines = [program]
    for argument in map(shlex.quote, arguments):
        if len(lines[-1]) + len(argument) > 96:
            lines.append(f"  {argument}")
        else:
            lines[-1] += f" {argument}"
    return " \\\n".join(lines)
