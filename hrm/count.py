"""Count a model from its config alone: `python -m hrm.count preset=base_default`; `--help` says more."""

from __future__ import annotations

import dataclasses
import sys
import textwrap
from typing import Any

from hrm.config.command_line import asks_for_help, format_listing, format_value, run_cli, summarize_tasks
from hrm.config.errors import ConfigError
from hrm.config.presets import Preset, list_presets, load_preset
from hrm.config.run_config import RunConfig, merge_overrides, qualify
from hrm.config.schema import build_config, parse_dotlist
from hrm.config.train_config import TrainConfig
from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.registry import Counts, Family, get_family, list_families
from hrm.system.format import format_bytes, format_columns, format_percent, format_scaled

_USAGE = f"""\
Counts a model exactly, from its config alone: parameters, FLOPs and bytes.

  python -m hrm.count preset=base_default
  python -m hrm.count hidden_size=384 num_heads=6 H_layers=3 L_layers=3
  python -m hrm.count preset=tiny_demo task=sudoku6 batch_size=64
  python -m hrm.count preset=text_tiny_50m task=text
  python -m hrm.count presets           every preset: reported and exact parameters, FLOPs, bytes

Options are name=value. Any field of the model may be given, alone (hidden_size=384) or with its section
(model.hidden_size=384; arch.hidden_size=384 is the same); `python -m hrm.train --help` lists them.

  preset=NAME      start from a preset's model (default: the official defaults)
  task=NAME|PATH   the task's vocabulary, cells and puzzle identifiers (default, as in the size guide:
                   vocabulary 11, 81 cells, one identifier)
  batch_size=N     sequences of a training step and of an evaluation batch (default: {TrainConfig.batch_size})
  accumulation=N   batches of a training step, of text models
  ema=DECAY        count the memory of averaged weights, too
"""
_COUNTED = ("train.batch_size", "train.accumulation", "train.ema")

C4_TOKENS = 156e9
"""Tokens of allenai/c4, English (arXiv 2104.08758, table 1). They are spaCy's, where a word is one token: T5 makes
more of the same text, so the hours computed here are too few rather than too many."""
DEVICE = "one A100"
DEVICE_FLOPS_PER_SECOND = 312e12
"""Peak bfloat16 matrix products of an NVIDIA A100, by its data sheet."""
UTILIZATION = 0.4
"""Assumed share of that rate; large dense models come near it."""


def main(arguments: list[str]) -> int:
    """Print the counts that the command line asks for; return 0.

    Raises:
        UserError: the command line or a file that it names is at fault.
    """
    if asks_for_help(arguments):
        presets = {name: load_preset(name).summary for name in list_presets()}
        print(f"{_USAGE}\nPresets:\n{format_listing(presets)}\n\nTasks:\n{format_listing(summarize_tasks())}")
    elif arguments == ["presets"]:
        print("\n\n".join(map(format_presets, list_families())))
    else:
        print(format_counts(*read_config(arguments)))
    return 0


def read_config(arguments: list[str]) -> tuple[str, RunConfig]:
    """Return a label for the model to count, and its config with the sizes of the task.

    Raises:
        UserError: an option is unknown, out of range, or changes no count.
    """
    options = parse_dotlist(arguments)
    label = " ".join(f"{name}={value}" for name, value in options.items())
    values: dict[str, Any] = {}
    if "preset" in options:
        preset = load_preset(str(options.pop("preset")))
        train = {name: value for name, value in preset.train.items() if f"train.{name}" in _COUNTED}
        values = {"family": preset.family, "model": preset.model, "train": train}
    config = RunConfig.from_dict(merge_overrides(values, options))
    given = {qualify(name, config.family, config.task.name): value for name, value in options.items()}
    for name, value in given.items():
        if not name.startswith(("model.", "task.")) and name not in (*_COUNTED, "family"):
            raise ConfigError(name, value, "changes no count", "Leave it out.")
    if any(name.startswith("task.") for name in given):
        sizes = config.task.get_model_fields()
        if sizes is None:
            rule = "has sizes that only its data decide"
            hint = "Give vocab_size=, seq_len= and num_puzzle_identifiers= instead."
            raise ConfigError("task", config.task.name, rule, hint)
        config = config.replace(**{f"model.{name}": size for name, size in sizes.items()} | given)
    return label, config


def format_counts(label: str, config: RunConfig) -> str:
    """Return the parameters, FLOPs and bytes of one model."""
    family, model, train = get_family(config.family), config.model, config.train
    counts: Counts = family.count(model, train.batch_size, train)
    batch = f"batch of {train.batch_size}"
    accumulated = f" ({train.accumulation} of them a step)" if train.accumulation > 1 else ""
    at_most = ", at most" if family.adaptive else ""
    flops = {f"training step{at_most}": counts.flops_per_step}
    if family.min_flops_per_step is not None:
        least = train.accumulation * family.min_flops_per_step(model, train.batch_size)
        flops["training step, at least"] = least
    flops[f"evaluation{at_most}"] = counts.eval_flops_per_batch
    memory = {
        "weights": counts.weight_bytes,
        "gradients": counts.gradient_bytes,
        "optimizer": counts.optimizer_bytes,
        "activations": counts.activation_bytes,
        "total": counts.total_bytes,
    }
    sections = {
        "Parameters": _list_parameters(family, model, counts),
        f"FLOPs, {batch}{accumulated}": [(name, f"{n:,}", format_scaled(n)) for name, n in flops.items()],
        f"Bytes of training on a CPU, {batch}, {model.forward_dtype} forward": [
            (name, f"{n:,}", format_bytes(n)) for name, n in memory.items()
        ],
    }
    derived = [name for name in (family.inner_width, "effective_period") if hasattr(model, name)]
    fields = dataclasses.asdict(model) | {name: getattr(model, name) for name in derived}
    shape = textwrap.fill(" ".join(f"{name}={format_value(value)}" for name, value in fields.items()), 100)
    blocks = [f"{title}\n{format_columns(rows, indent='  ')}" for title, rows in sections.items()]
    return "\n\n".join([f"{label}\n{shape}", *blocks])


def _list_parameters(family: Family, model: Any, counts: Counts) -> list[tuple[str, str, str]]:
    rows = [("trainable", f"{counts.trainable_params:,}", "")]
    if counts.puzzle_embedding_params:
        rows.append(("puzzle embedding", f"{counts.puzzle_embedding_params:,}", ""))
    rows.append(("total (what a budget bounds)", f"{counts.params:,}", format_scaled(counts.params)))
    if counts.buffers:
        rows.append(("buffers (initial states)", f"{counts.buffers:,}", ""))
    if isinstance(model, PuzzleHRMConfig):
        estimate = estimate_by_size_guide(model)
        rows.append(("the size guide's estimate", f"{estimate:,}", f"{estimate - counts.params:+,}"))
    if preset := find_preset_with_params(family, counts.params):
        error = format_percent(preset.compare_params(counts.params))
        rows.append((f"reported for {preset.name}", str(preset.reported_params), f"exact is {error}"))
    return rows


def estimate_by_size_guide(config: PuzzleHRMConfig) -> int:
    """Return the parameters according to the "Quick Param Estimator" of the size guide.

    It knows width, depth, vocabulary, expansion and the number of puzzles; it takes every inner width for a
    multiple of 256, every puzzle embedding for `hidden_size` wide, positions for RoPE, and the Q head for
    one without biases.

    >>> estimate_by_size_guide(PuzzleHRMConfig())  # exactly 27,275,778
    27275776
    """
    H = config.hidden_size
    inner = -(-round(config.expansion * H * 2 / 3) // 256) * 256
    blocks = (config.H_layers + config.L_layers) * (4 + 3 * inner / H) * H * H
    puzzle = config.num_puzzle_identifiers * (H if config.puzzle_embedding_size else 0)
    return round(blocks + 2 * config.vocab_size * H + puzzle + 2 * H)


def find_preset_with_params(family: Family, params: int) -> Preset | None:
    """Return the documented preset that has exactly this number of parameters; heads and cycles may differ."""
    for preset in map(load_preset, list_presets(family.name)):
        if preset.reported_params and family.count(family.config_class(**preset.model)).params == params:
            return preset
    return None


def format_presets(family_name: str) -> str:
    """Return the presets of a family, smallest first: reported parameters, memory and time beside exact ones."""
    family, counted = get_family(family_name), []
    for preset in map(load_preset, list_presets(family_name)):
        model: Any = build_config(family.config_class, preset.model, "model")
        train = build_config(TrainConfig, preset.train, "train")
        counted.append((preset, model, family.count(model, train.batch_size, train)))
    counted.sort(key=lambda row: (row[2].params, row[2].flops_per_step))
    names = [field.name for field in dataclasses.fields(family.config_class)]
    varied = [name for name in names if len({getattr(model, name) for _, model, _ in counted}) > 1]
    sizes, times = [], []
    for preset, model, counts in counted:
        documented, reported = preset.documented, find_preset_with_params(family, counts.params)
        vram = documented.vram_gb if documented else None
        sizes.append(
            {
                "preset": preset.name,
                **{name: format_value(getattr(model, name)) for name in varied},
                "reported": str(reported.reported_params) if reported else "-",
                "exact": f"{counts.params:,}",
                "error": format_percent(reported.compare_params(counts.params)) if reported else "-",
                "FLOPs a step": format_scaled(counts.flops_per_step),
                "training bytes": format_bytes(counts.total_bytes),
                "reported VRAM": f"{vram} GB" if vram else "-",
                "enough": check_reported_memory(counts.total_bytes, vram) if vram else "-",
            }
        )
        if documented and documented.training_hours:
            tokens = C4_TOKENS * documented.subset_percent / 100 * documented.epochs
            least, most = estimate_hours(family, model, tokens)
            times.append(
                {
                    "preset": preset.name,
                    "tokens": format_scaled(tokens),
                    "reported hours": documented.training_hours,
                    f"hours on {DEVICE}": f"{least:,.3g} to {most:,.3g}",
                    "plausible": check_reported_hours(least, most, documented.training_hours),
                }
            )
    parts = [
        _format_table(sizes),
        "exact: trainable + puzzle embedding parameters; FLOPs: a training step of the preset's batches, at most;\n"
        "bytes: as autograd keeps them on a CPU, on one GPU about the same; forward in the preset's own type",
    ]
    if times:
        parts += [
            _format_table(times),
            "hours: the documented epochs over the documented share of C4 "
            f"({format_scaled(C4_TOKENS)} tokens, as arXiv\n2104.08758 counts), counted FLOPs, at least and at most, "
            f"{DEVICE_FLOPS_PER_SECOND / 1e12:.0f} TFLOP/s at {UTILIZATION:.0%} utilization (assumed)",
        ]
    return "\n\n".join(parts)


def _format_table(rows: list[dict[str, str]]) -> str:
    return format_columns([tuple(rows[0]), *(tuple(row.values()) for row in rows)])


def estimate_hours(family: Family, model: Any, tokens: float) -> tuple[float, float]:
    """Return the hours of training on that many tokens, if each step costs as little and as much as it can."""
    most = family.count(model).flops_per_step
    least = most if family.min_flops_per_step is None else family.min_flops_per_step(model, 1)
    sequences_per_hour = 3600 * DEVICE_FLOPS_PER_SECOND * UTILIZATION
    return (
        tokens / model.seq_len * least / sequences_per_hour,
        tokens / model.seq_len * most / sequences_per_hour,
    )


def check_reported_hours(least: float, most: float, reported: str) -> str:
    """Return whether reported hours such as `1` or `1-2` are possible where training takes `least` to `most`.

    >>> check_reported_hours(308, 821, "1-2")
    'no: at least 154 times that'
    """
    low, _, high = reported.partition("-")
    longest = float(high or low)
    if least > longest:
        return f"no: at least {least / longest:,.0f} times that"
    return f"yes: at most {most:.2g} hours" if most < float(low) else "plausible"


def check_reported_memory(total_bytes: int, reported_gb: str) -> str:
    """Return whether reported GPU memory such as `8`, `2-4` or `16+` is enough for this many bytes.

    >>> check_reported_memory(10_900_000_000, "8")
    'no: it takes 11 GB'
    """
    needed = total_bytes / 1e9
    if reported_gb.endswith("+"):
        return f"at least: it takes {needed:.0f} GB"
    return "yes" if needed <= float(reported_gb.rpartition("-")[2]) else f"no: it takes {needed:.0f} GB"


def run_program() -> int:
    """Run the command line of this process and return its exit code."""
    return run_cli(main)


if __name__ == "__main__":
    sys.exit(run_program())
