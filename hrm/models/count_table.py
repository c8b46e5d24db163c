"""Tables of counts for a terminal: of one model, and of a family's presets and what their documents report."""

from __future__ import annotations

import dataclasses
import textwrap
from dataclasses import dataclass
from typing import Any

from hrm.config.command_line import format_value
from hrm.config.presets import DocumentedSettings, Preset, list_presets, load_preset
from hrm.config.run_config import RunConfig
from hrm.config.schema import build_config
from hrm.config.train_config import TrainConfig
from hrm.models.counting import Counts
from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.registry import Family, get_family
from hrm.system.format import format_bytes, format_columns, format_percent, format_scaled

C4_TOKENS = 156e9
"""Tokens of allenai/c4, English (arXiv 2104.08758, table 1). They are spaCy's, where a word is one token: T5 makes
more of the same text, so the hours computed here are too few rather than too many."""
DEVICE = "one A100"
DEVICE_FLOPS_PER_SECOND = 312e12
"""Peak bfloat16 matrix products of an NVIDIA A100, by its data sheet."""
UTILIZATION = 0.4
"""Assumed share of that rate; large dense models come near it."""
TableRow = dict[str, str]
"""The cells of a row by the heading of their column."""


def format_counts(label: str, config: RunConfig) -> str:
    """Return the parameters, FLOPs and bytes of one model."""
    family, train = get_family(config.family), config.train
    counts: Counts = family.count(config.model, train.batch_size, train)
    memory = {
        "weights": counts.weight_bytes,
        "gradients": counts.gradient_bytes,
        "optimizer": counts.optimizer_bytes,
        "activations": counts.activation_bytes,
        "total": counts.total_bytes,
    }
    accumulated = f" ({train.accumulation} of them a step)" if train.accumulation > 1 else ""
    sections = {
        "Parameters": _list_parameters(family, config.model, counts),
        f"FLOPs, batch of {train.batch_size}{accumulated}": [
            (name, f"{flops:,}", format_scaled(flops))
            for name, flops in _list_flops(family, config, counts).items()
        ],
        f"Bytes of training on a CPU, batch of {train.batch_size}, {config.model.forward_dtype} forward": [
            (name, f"{size:,}", format_bytes(size)) for name, size in memory.items()
        ],
    }
    blocks = [f"{title}\n{format_columns(rows, indent='  ')}" for title, rows in sections.items()]
    return "\n\n".join([f"{label}\n{_format_model(config.model)}", *blocks])


def _format_model(model: Any) -> str:
    fields = dataclasses.asdict(model) | {"inner_size": model.inner_size}
    fields |= {"effective_period": model.effective_period} if hasattr(model, "effective_period") else {}
    return textwrap.fill(" ".join(f"{name}={format_value(value)}" for name, value in fields.items()), 100)


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


def _list_flops(family: Family, config: RunConfig, counts: Counts) -> dict[str, int]:
    """Return FLOPs of a training step and of an evaluation; where data decide them, at most and at least."""
    if family.min_flops_per_step is None:
        return {"training step": counts.flops_per_step, "evaluation": counts.eval_flops_per_batch}
    train = config.train
    return {
        "training step, at most": counts.flops_per_step,
        "training step, at least": train.accumulation
        * family.min_flops_per_step(config.model, train.batch_size),
        "evaluation, at most": counts.eval_flops_per_batch,
    }


def estimate_by_size_guide(config: PuzzleHRMConfig) -> int:
    """Return the parameters according to the "Quick Param Estimator" of the size guide.

    It knows width, depth, vocabulary, expansion and the number of puzzles; it takes every inner width for a
    multiple of 256, every puzzle embedding for `hidden_size` wide, positions for RoPE, and the Q head for
    one without biases.
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
    """Return the presets of a family, smallest first: reported parameters, memory and time, and the exact ones."""
    family, rows = get_family(family_name), []
    for preset in map(load_preset, list_presets(family_name)):
        model: Any = build_config(family.config_class, preset.model, "model")
        train = build_config(TrainConfig, preset.train, "train")
        rows.append((preset, model, family.count(model, train.batch_size, train)))
    rows.sort(key=lambda row: (row[2].params, row[2].flops_per_step))
    varied = [
        field.name
        for field in dataclasses.fields(family.config_class)
        if len({getattr(model, field.name) for _, model, _ in rows}) > 1
    ]
    parts = [
        _format_table(
            [_make_preset_row(family, preset, model, varied, counts) for preset, model, counts in rows]
        ),
        "exact: trainable + puzzle embedding parameters; FLOPs: a training step of the preset's batches, at most;\n"
        "bytes: as autograd keeps them on a CPU, on one GPU about the same; forward in the preset's own type",
    ]
    times = [(preset, estimate_training_time(family, preset, model)) for preset, model, _ in rows]
    if any(time for _, time in times):
        parts += [
            _format_table([_make_time_row(preset, time) for preset, time in times if time]),
            "hours: the documented epochs over the documented share of C4 "
            f"({format_scaled(C4_TOKENS)} tokens, as arXiv\n2104.08758 counts), counted FLOPs, at least and at most, "
            f"{DEVICE_FLOPS_PER_SECOND / 1e12:.0f} TFLOP/s at {UTILIZATION:.0%} utilization (assumed)",
        ]
    return "\n\n".join(parts)


def _format_table(rows: list[TableRow]) -> str:
    return format_columns([tuple(rows[0]), *(tuple(row.values()) for row in rows)])


def _make_preset_row(
    family: Family, preset: Preset, model: Any, varied: list[str], counts: Counts
) -> TableRow:
    reported = find_preset_with_params(family, counts.params)
    vram = preset.documented.vram_gb if preset.documented else None
    return {
        "preset": preset.name,
        **{name: format_value(getattr(model, name)) for name in varied},
        "reported": str(reported.reported_params) if reported else "-",
        "exact": f"{counts.params:,}",
        "error": format_percent(reported.compare_params(counts.params)) if reported else "-",
        "FLOPs a step": format_scaled(counts.flops_per_step),
        "training bytes": format_bytes(counts.total_bytes),
        "reported VRAM": f"{vram} GB" if vram else "-",
        "enough": judge_memory(counts.total_bytes, vram) if vram else "-",
    }


def _make_time_row(preset: Preset, time: TrainingTime) -> TableRow:
    return {
        "preset": preset.name,
        "tokens": format_scaled(time.tokens),
        "reported hours": time.reported,
        f"hours on {DEVICE}": f"{time.min_hours:,.3g} to {time.max_hours:,.3g}",
        "plausible": time.verdict,
    }


@dataclass(frozen=True)
class TrainingTime:
    """Hours of training on `DEVICE` at `UTILIZATION`.

    Args:
        tokens: seen in training.
        min_hours: if a step costs as little as it can.
        max_hours: if a step costs as much as it can.
        reported: hours according to the document, such as `1-2`.
    """

    tokens: float
    min_hours: float
    max_hours: float
    reported: str

    @property
    def verdict(self) -> str:
        """Whether the reported hours are possible, in a few words."""
        low, _, high = self.reported.partition("-")
        most = float(high or low)
        if self.min_hours > most:
            return f"no: at least {self.min_hours / most:,.0f} times that"
        if self.max_hours < float(low):
            return f"yes: at most {self.max_hours:.2g} hours"
        return "plausible"


def estimate_training_time(family: Family, preset: Preset, model: Any) -> TrainingTime | None:
    """Return the time of the documented epochs over the documented share of C4; None where none is reported."""
    documented: DocumentedSettings | None = preset.documented
    if documented is None or documented.training_hours is None:
        return None
    tokens = C4_TOKENS * documented.subset_percent / 100 * documented.epochs
    most = family.count(model).flops_per_step
    least = most if family.min_flops_per_step is None else family.min_flops_per_step(model, 1)
    sequences_per_hour = 3600 * DEVICE_FLOPS_PER_SECOND * UTILIZATION
    hours = [tokens / model.seq_len * flops / sequences_per_hour for flops in (least, most)]
    return TrainingTime(tokens, hours[0], hours[1], documented.training_hours)


def judge_memory(total_bytes: int, reported_gb: str) -> str:
    """Return whether reported GPU memory such as `8`, `2-4` or `16+` is enough for this many bytes.

    >>> judge_memory(10_900_000_000, "8")
    'no: it takes 11 GB'
    """
    needed = total_bytes / 1e9
    if reported_gb.endswith("+"):
        return f"at least: it takes {needed:.0f} GB"
    most = float(reported_gb.rpartition("-")[2])
    return "yes" if needed <= most else f"no: it takes {needed:.0f} GB"
