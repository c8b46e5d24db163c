"""Where a sweep comes from, and the commands that repeat it and train its winner."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from hrm.config.command_line import format_value
from hrm.config.run_config import RunConfig
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.report.blocks import Block, Code, Items, Section, Table, Text
from sweeps.report.format import format_count

FROM_DATA = ("vocab_size", "seq_len", "num_puzzle_identifiers")
"""Model fields that the data set."""
OFFICIAL_ARCH = (
    *("hidden_size", "num_heads", "H_layers", "L_layers", "H_cycles", "L_cycles", "expansion"),
    *("pos_encodings", "halt_max_steps", "halt_exploration_prob"),
)
"""Keys of the official `config/arch/hrm_v1.yaml` under the same name."""
OFFICIAL_ADDED = ("forward_dtype", "rms_norm_eps", "rope_theta")
"""Fields of the official model that its YAML leaves out: Hydra needs a + before them."""
OFFICIAL_TRAIN = (
    *("lr", "lr_min_ratio", "weight_decay", "beta1", "beta2"),
    *("puzzle_emb_lr", "puzzle_emb_weight_decay"),
)
OFFICIAL_MLP_MULTIPLE = 256


def build_left_out_presets(folder: SweepFolder) -> Section | None:
    """Build the presets that were not trained, with the reason; None if there are none."""
    rows = [
        [preset.name, format_count(preset.params), preset.left_out]
        for preset in folder.metadata.presets
        if preset.left_out is not None
    ]
    return Section("Presets left out", [Table(["preset", "parameters", "reason"], rows)]) if rows else None


def build_provenance(folder: SweepFolder) -> Section:
    """Build code, versions, machine, space and data."""
    metadata, found = folder.metadata, folder.metadata.provenance
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items() if version)
    lines = [
        f"code: {found.commit or 'not in a repository'}{', with changes' if found.dirty else ''}",
        f"versions: {versions}",
        f"machine: {describe_machine(folder)}",
        f"space {metadata.space_hash[:16]}, data {metadata.data_fingerprint[:16]}",
    ]
    for name, number in metadata.space_counts.items():
        lines.append(f"{name.replace('_', ' ')} in the space: {format_count(number)}")
    return Section("Provenance", [Items(lines)])


def build_reproduction(folder: SweepFolder) -> Section:
    """Build the commands that repeat the sweep and train its winner."""
    command = shlex.join(["python", "run_sweep.py", *folder.metadata.command])
    blocks: list[Block] = [Text("The same sweep:"), Code(command)]
    config = folder.best_config
    if config is not None:
        blocks += [
            Text("The best configuration alone, from this folder (`best.yaml` holds it):"),
            Code("python -m hrm.train config=best.yaml"),
            Text("The same without the file:"),
            Code(_format_command("python -m hrm.train", list_trainer_overrides(config))),
        ]
        if (official := list_official_overrides(config)) is not None:
            overrides, beyond = official
            blocks.append(Text("As overrides of the official HRM repository, with a `data_path` of its own:"))
            blocks.append(Code(_format_command("python pretrain.py", overrides)))
            blocks += [Items(beyond)] if beyond else []
    return Section("Reproduce", blocks)


def describe_machine(folder: SweepFolder) -> str:
    """Return `Intel Xeon, 2 cores, no GPU`."""
    hardware = folder.metadata.provenance.hardware
    if not hardware:
        return "an unknown machine"
    gpus = ", ".join(hardware["gpus"]) if hardware["gpus"] else "no GPU"
    return f"{hardware['cpu']}, {hardware['cores']} cores, {gpus}"


def list_trainer_overrides(config: dict[str, Any]) -> list[str]:
    """Return what `python -m hrm.train` takes to train a configuration: all that differs from the defaults.

    Args:
        config: a resolved run configuration of the tables.
    """
    family, task = config["family"], config["task"]["name"]
    defaults = RunConfig.from_dict({"family": family, "task": {"name": task}}).to_dict()
    found = [] if family == RunConfig.__dataclass_fields__["family"].default else [f"family={family}"]
    found.append(f"task={format_value(task)}")
    for section in ("task", "model", "train"):
        for name, value in config[section].items():
            is_implied = name in FROM_DATA or (section, name) == ("task", "name")
            if value != defaults[section].get(name) and not is_implied:
                found.append(f"{section}.{name}={format_value(value)}")
    return [*found, f"seed={config['seed']}"]


def list_official_overrides(config: dict[str, Any]) -> tuple[list[str], list[str]] | None:
    """Return the same for the official HRM repository; None for a model that is not its HRM.

    Returns:
        Overrides of its `config/cfg_pretrain.yaml`, and what they cannot express, in sentences.
    """
    if config["family"] != "puzzle":
        return None
    model, train = config["model"], config["train"]
    embedding, warmup = model["puzzle_emb_ndim"], train["lr_warmup_steps"]
    if warmup is None:
        warmup = round(train["lr_warmup_fraction"] * train["steps"])
    overrides = {
        **{f"arch.{name}": model[name] for name in OFFICIAL_ARCH},
        "arch.puzzle_emb_ndim": model["hidden_size"] if embedding is None else embedding,
        "arch.loss.loss_type": model["loss_type"],
        **{f"+arch.{name}": model[name] for name in OFFICIAL_ADDED},
        **{name: train[name] for name in OFFICIAL_TRAIN},
        "lr_warmup_steps": warmup,
        "global_batch_size": train["batch_size"],
    }
    if puzzles := config["task"].get("train_puzzles"):
        epochs = math.ceil(train["steps"] * train["batch_size"] / puzzles)
        overrides |= {"epochs": epochs, "eval_interval": epochs}
    overrides["+seed"] = config["seed"]
    return [f"{name}={format_value(value)}" for name, value in overrides.items()], list(
        _list_beyond(model, train)
    )


def _list_beyond(model: dict[str, Any], train: dict[str, Any]) -> Iterator[str]:
    """Yield what the official repository cannot do."""
    period = model["h_update_period"]
    if period is not None and period != model["L_cycles"]:
        yield f"H updates every {period} L-steps here; the official code updates it every L_cycles."
    wanted = round(model["expansion"] * model["hidden_size"] * 2 / 3)
    inner, official = (-(-wanted // step) * step for step in (model["mlp_multiple"], OFFICIAL_MLP_MULTIPLE))
    if inner != official:
        yield f"The feed-forward layers are {inner} wide here; the official code rounds to {official}."
    if not model["q_continue"]:
        yield "Trained here without the continue value (q_continue=false); the official code always trains it."
    if model["gradient_L_steps"] != 1:
        yield f"The gradient flows through {model['gradient_L_steps']} L-steps here, one in the official code."
    if train["ema"]:
        yield f"Evaluated here with averaged weights (ema={train['ema']}), which the official code does not have."


def _format_command(program: str, arguments: Sequence[str]) -> str:
    """Return a shell command in lines of readable length."""
    lines = [program]
    for argument in map(shlex.quote, arguments):
        if len(lines[-1]) + len(argument) > 96:
            lines.append(f"  {argument}")
        else:
            lines[-1] += f" {argument}"
    return " \\\n".join(lines)
