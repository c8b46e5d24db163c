"""Where the figures come from, and how to make them again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from sweeps.report import overrides
from sweeps.report.blocks import Block, Code, Items, Section, Table, Text
from sweeps.report.folder import Folder
from sweeps.report.numbers import count


def presets_left_out(folder: Folder) -> Section | None:
    """Presets that were not trained, with the reason."""
    rows = [
        [preset.name, count(preset.params), preset.left_out]
        for preset in folder.context.presets
        if preset.left_out is not None
    ]
    return Section("Presets left out", [Table(["preset", "parameters", "reason"], rows)]) if rows else None


def provenance(folder: Folder) -> Section:
    """Code, versions, machine, space and data."""
    context, found = folder.context, folder.context.provenance
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items() if version)
    lines = [
        f"code: {found.commit or 'not in a repository'}{', with changes' if found.dirty else ''}",
        f"versions: {versions}",
        f"machine: {machine(folder)}",
        f"space {context.space_hash[:16]}, data {context.data_fingerprint[:16]}",
    ]
    for name, number in context.space_counts.items():
        lines.append(f"{name.replace('_', ' ')} in the space: {count(number)}")
    return Section("Where this comes from", [Items(lines)])


def machine(folder: Folder) -> str:
    """`Intel Xeon, 2 cores, no GPU`."""
    hardware = folder.context.provenance.hardware
    if not hardware:
        return "an unknown machine"
    gpus = ", ".join(hardware["gpus"]) if hardware["gpus"] else "no GPU"
    return f"{hardware['cpu']}, {hardware['cores']} cores, {gpus}"


def again(folder: Folder) -> Section:
    """The commands that repeat the sweep and train its winner."""
    command = shlex.join(["python", "run_sweep.py", *folder.context.command])
    blocks: list[Block] = [Text("The same sweep:"), Code(command)]
    if folder.best_config is not None:
        blocks += _retraining(folder.best_config)
    return Section("Again", blocks)


def _retraining(config: dict[str, Any]) -> list[Block]:
    blocks: list[Block] = [
        Text("The best configuration alone, from this folder (`best.yaml` says what it is):"),
        Code("python -m hrm.train config=best.yaml"),
        Text("The same without the file:"),
        Code(_command("python -m hrm.train", overrides.ours(config))),
    ]
    official = overrides.official(config)
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
