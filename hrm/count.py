"""Counts a model from its config alone: `python -m hrm.count preset=base_default`; `--help` says more."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from hrm import config as reader
from hrm import door
from hrm.counting import Counts
from hrm.errors import ConfigError
from hrm.families import family
from hrm.option_help import listing
from hrm.presets import Preset, load_preset, preset_names
from hrm.puzzle.guide import claim_error, claimed_preset, estimate
from hrm.run_config import RunConfig, merge, qualify
from hrm.tasks import TASKS, task_kind
from hrm.train_config import TrainConfig
from hrm.units import in_bytes, percent, scaled

_USAGE = f"""\
Counts a model exactly, from its config alone: parameters, FLOPs and bytes.

  python -m hrm.count preset=base_default
  python -m hrm.count hidden_size=384 num_heads=6 H_layers=3 L_layers=3
  python -m hrm.count preset=tiny_demo task=sudoku6 batch_size=64
  python -m hrm.count presets           every preset: what the size guide claims, and the exact count

Options are name=value. Any field of the model may be given, alone (hidden_size=384) or with its section
(model.hidden_size=384; arch.hidden_size=384 is the same); `python -m hrm.train --help` lists them.

  preset=NAME      start from a preset's model (default: the official defaults)
  task=NAME|PATH   the task's vocabulary, cells and puzzle identifiers (default, as the size guide has it:
                   vocabulary 11, 81 cells, one identifier)
  batch_size=N     sequences of a training step and of an evaluation batch (default: {TrainConfig.batch_size})
  ema=DECAY        count the memory of averaged weights, too
"""
_COUNTED = ("train.batch_size", "train.ema")


def main(arguments: list[str]) -> int:
    """Prints the counts that the command line asks for. Returns 0.

    Raises:
        UserError: the command line or a file that it names is at fault.
    """
    if not arguments or {"-h", "--help"} & set(arguments):
        print(help_text())
    elif arguments == ["presets"]:
        print(presets_text())
    else:
        label, config = read_config(arguments)
        print(counts_text(label, config))
    return 0


def help_text() -> str:
    """Everything that the command line takes."""
    presets = {name: load_preset(name).summary for name in preset_names()}
    tasks = {name: kind.summary for name, kind in TASKS.items()}
    return f"{_USAGE}\nPresets:\n{listing(presets)}\n\nTasks:\n{listing(tasks)}"


def read_config(arguments: list[str]) -> tuple[str, RunConfig]:
    """What is to be counted: a label, and the config with the model as the task has it.

    Raises:
        UserError: an option is unknown, out of range, or changes no count.
    """
    options = reader.parse_dotlist(arguments)
    preset = load_preset(str(options.pop("preset"))) if "preset" in options else None
    values = {"family": preset.family, "model": preset.model} if preset else {}
    config = RunConfig.from_dict(merge(values, options))
    given = {qualify(name, config.family, config.task.name): value for name, value in options.items()}
    for name, value in given.items():
        if not name.startswith(("model.", "task.")) and name not in (*_COUNTED, "family"):
            raise ConfigError(name, value, "changes no count", "Leave it out.")
    if any(name.startswith("task.") for name in given):
        decided = {f"model.{name}": value for name, value in _task_fields(config).items()}
        config = config.replace(**{**decided, **given})
    return _label(preset, options), config


def _task_fields(config: RunConfig) -> dict[str, Any]:
    fields = task_kind(config.task.name).counted_fields(config.task)
    if fields is None:
        raise ConfigError(
            "task", config.task.name, "has sizes that only its data tell",
            "Give vocab_size=, seq_len= and num_puzzle_identifiers= instead.",
        )  # fmt: skip
    return dict(fields)


def _label(preset: Preset | None, options: dict[str, Any]) -> str:
    parts = [preset.name] if preset else []
    return " ".join([*parts, *(f"{name}={value}" for name, value in options.items())])


def counts_text(label: str, config: RunConfig) -> str:
    """The counts of one model, for a terminal."""
    batch_size = config.train.batch_size
    counts: Counts = family(config.family).counts(config.model, batch_size, config.train)
    flops = {"training step": counts.flops_per_step, "evaluation": counts.eval_flops_per_batch}
    memory = {
        "weights": counts.weight_bytes,
        "gradients": counts.gradient_bytes,
        "optimizer": counts.optimizer_bytes,
        "activations": counts.activation_bytes,
        "total": counts.total_bytes,
    }
    sections = {
        "Parameters": _parameter_rows(config.model, counts),
        f"FLOPs, batch of {batch_size}": [(name, f"{n:,}", scaled(n)) for name, n in flops.items()],
        f"Bytes of training on a CPU, batch of {batch_size}, {config.model.forward_dtype} forward": [
            (name, f"{n:,}", in_bytes(n)) for name, n in memory.items()
        ],
    }
    blocks = [f"{title}\n{_aligned(rows)}" for title, rows in sections.items()]
    return "\n\n".join([f"{label}\n{model_text(config.model)}", *blocks])


def model_text(model: Any) -> str:
    """The shape of a puzzle HRM in two lines."""
    embedding = f"{model.num_puzzle_identifiers} x {model.puzzle_embedding_size}"
    return (
        f"width {model.hidden_size}, {model.num_heads} heads, {model.H_layers}+{model.L_layers} layers, "
        f"inner width {model.inner_size}, cycles {model.H_cycles}x{model.L_cycles}, "
        f"H update every {model.effective_period} of {model.num_L_steps} L-steps\n"
        f"vocabulary {model.vocab_size}, {model.seq_len} cells, puzzle embedding {embedding}"
    )


def _parameter_rows(model: Any, counts: Counts) -> list[tuple[str, str, str]]:
    guess, claimed = estimate(model), claimed_preset(model)
    verdict = f"exact is {percent(claim_error(claimed, counts.params))}" if claimed else ""
    return [
        ("trainable", f"{counts.trainable_params:,}", ""),
        ("puzzle embedding", f"{counts.puzzle_embedding_params:,}", ""),
        ("both (what a budget bounds)", f"{counts.params:,}", scaled(counts.params)),
        ("buffers (initial states)", f"{counts.buffers:,}", ""),
        ("the size guide's estimate", f"{guess:,}", f"{guess - counts.params:+,}"),
        ("the size guide's claim", str(claimed.claim) if claimed else "none", verdict),
    ]


def presets_text() -> str:
    """Every preset, smallest first: the size guide's claim, its estimate and the exact count."""
    batch_size = TrainConfig.batch_size
    rows = []
    for preset in map(load_preset, preset_names()):
        kind = family(preset.family)
        model: Any = reader.build(kind.config_class, preset.model, "model")
        counts: Counts = kind.counts(model, batch_size)
        claimed = claimed_preset(model)
        claim = str(claimed.claim) if claimed else "-"
        error = percent(claim_error(claimed, counts.params)) if claimed else "-"
        shape = f"{model.hidden_size}/{model.num_heads}/{model.H_layers}+{model.L_layers}"
        cycles = f"{model.H_cycles}x{model.L_cycles}"
        rows.append((counts.params, counts.flops_per_step, (
            preset.name, shape, cycles, claim, f"{counts.params:,}", error, f"{estimate(model):,}",
            scaled(counts.flops_per_step), in_bytes(counts.total_bytes),
        )))  # fmt: skip
    head = ("preset", "H/heads/layers", "cycles", "claimed", "exact", "off by", "guide's estimate",
            "FLOPs a step", "training bytes")  # fmt: skip
    table = _aligned([head, *(row for *_, row in sorted(rows))], indent="")
    notes = (
        "claimed: by the size guide, for every model of that shape",
        "exact: trainable + puzzle embedding parameters, vocabulary 11, one puzzle identifier",
        f"FLOPs and bytes: a training step of {batch_size} sequences of 81 cells, bfloat16 forward, on a CPU",
    )
    return "\n".join([table, "", *notes])


def _aligned(rows: Sequence[tuple[str, ...]], indent: str = "  ") -> str:
    """Columns side by side: the first flush left, the others flush right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:]))])
        for row in rows
    ]
    return "\n".join(indent + line.rstrip() for line in lines)


if __name__ == "__main__":
    sys.exit(door.run(main))
