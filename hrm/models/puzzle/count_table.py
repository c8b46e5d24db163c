"""How counts of puzzle HRMs read in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from hrm.config.command_line import align_columns
from hrm.config.presets import Preset, claimed_preset
from hrm.config.schema import build_config
from hrm.config.train_config import TrainConfig
from hrm.models.counting import Counts
from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.puzzle.counting import count
from hrm.system.units import format_bytes, format_percent, format_scaled


def estimate(config: PuzzleHRMConfig) -> int:
    """The parameters that the guide's "Quick Param Estimator" gives.

    It knows width, depth, vocabulary, expansion and the number of puzzles; it takes every inner width for a
    multiple of 256, every puzzle embedding for `hidden_size` wide, positions for RoPE, and the Q head for
    one without biases.
    """
    H = config.hidden_size
    inner = -(-round(config.expansion * H * 2 / 3) // 256) * 256
    blocks = (config.H_layers + config.L_layers) * (4 + 3 * inner / H) * H * H
    puzzle = config.num_puzzle_identifiers * (H if config.puzzle_embedding_size else 0)
    return round(blocks + 2 * config.vocab_size * H + puzzle + 2 * H)


def claimed(config: PuzzleHRMConfig) -> Preset | None:
    """The preset whose claim covers `config`. Heads, cycles, halting and types change no parameter."""
    return claimed_preset(config, "puzzle", _shape)


def _shape(config: PuzzleHRMConfig) -> tuple[object, ...]:
    """All that decides the number of parameters."""
    fields = ("hidden_size", "H_layers", "L_layers", "inner_size", "vocab_size", "puzzle_embedding_size",
              "num_puzzle_identifiers", "pos_encodings")  # fmt: skip
    return tuple(getattr(config, name) for name in fields)


def model_text(model: PuzzleHRMConfig) -> str:
    """The shape of a model in two lines."""
    embedding = f"{model.num_puzzle_identifiers} x {model.puzzle_embedding_size}"
    return (
        f"width {model.hidden_size}, {model.num_heads} heads, {model.H_layers}+{model.L_layers} layers, "
        f"inner width {model.inner_size}, cycles {model.H_cycles}x{model.L_cycles}, "
        f"H update every {model.effective_period} of {model.num_L_steps} L-steps\n"
        f"vocabulary {model.vocab_size}, {model.seq_len} cells, puzzle embedding {embedding}"
    )


def parameter_rows(model: PuzzleHRMConfig, counts: Counts) -> list[tuple[str, str, str]]:
    """Parameters by kind, and what the size guide says of them."""
    guess, preset = estimate(model), claimed(model)
    verdict = f"exact is {format_percent(preset.claim_error(counts.params))}" if preset else ""
    return [
        ("trainable", f"{counts.trainable_params:,}", ""),
        ("puzzle embedding", f"{counts.puzzle_embedding_params:,}", ""),
        ("both (what a budget bounds)", f"{counts.params:,}", format_scaled(counts.params)),
        ("buffers (initial states)", f"{counts.buffers:,}", ""),
        ("the size guide's estimate", f"{guess:,}", f"{guess - counts.params:+,}"),
        ("the size guide's claim", str(preset.claim) if preset else "none", verdict),
    ]


def flops_rows(model: PuzzleHRMConfig, counts: Counts, train: TrainConfig) -> list[tuple[str, str, str]]:
    """FLOPs of a training step and of an evaluation."""
    flops = {"training step": counts.flops_per_step, "evaluation": counts.eval_flops_per_batch}
    return [(name, f"{n:,}", format_scaled(n)) for name, n in flops.items()]


def presets_text(presets: Sequence[Preset]) -> str:
    """The presets, smallest first: the size guide's claim, its estimate and the exact count."""
    batch_size = TrainConfig.batch_size
    rows = []
    for preset in presets:
        model = build_config(PuzzleHRMConfig, preset.model, "model")
        counts = count(model, batch_size)
        source = claimed(model)
        claim = str(source.claim) if source else "-"
        error = format_percent(source.claim_error(counts.params)) if source else "-"
        shape = f"{model.hidden_size}/{model.num_heads}/{model.H_layers}+{model.L_layers}"
        cycles = f"{model.H_cycles}x{model.L_cycles}"
        rows.append((counts.params, counts.flops_per_step, (
            preset.name, shape, cycles, claim, f"{counts.params:,}", error, f"{estimate(model):,}",
            format_scaled(counts.flops_per_step), format_bytes(counts.total_bytes),
        )))  # fmt: skip
    head = ("preset", "H/heads/layers", "cycles", "claimed", "exact", "off by", "guide's estimate",
            "FLOPs a step", "training bytes")  # fmt: skip
    table = align_columns([head, *(row for *_, row in sorted(rows))], indent="")
    notes = (
        "claimed: by the size guide, for every model of that shape",
        "exact: trainable + puzzle embedding parameters, vocabulary 11, one puzzle identifier",
        f"FLOPs and bytes: a training step of {batch_size} sequences of 81 cells, bfloat16 forward, on a CPU",
    )
    return "\n".join([table, "", *notes])
