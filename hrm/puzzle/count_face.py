"""How counts of puzzle HRMs read in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from hrm import config as reader
from hrm.columns import aligned
from hrm.counting import Counts
from hrm.presets import Preset
from hrm.puzzle.config import PuzzleHRMConfig
from hrm.puzzle.counting import count
from hrm.puzzle.guide import claimed, estimate
from hrm.train_config import TrainConfig
from hrm.units import in_bytes, percent, scaled


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
    verdict = f"exact is {percent(preset.claim_error(counts.params))}" if preset else ""
    return [
        ("trainable", f"{counts.trainable_params:,}", ""),
        ("puzzle embedding", f"{counts.puzzle_embedding_params:,}", ""),
        ("both (what a budget bounds)", f"{counts.params:,}", scaled(counts.params)),
        ("buffers (initial states)", f"{counts.buffers:,}", ""),
        ("the size guide's estimate", f"{guess:,}", f"{guess - counts.params:+,}"),
        ("the size guide's claim", str(preset.claim) if preset else "none", verdict),
    ]


def flops_rows(model: PuzzleHRMConfig, counts: Counts, train: TrainConfig) -> list[tuple[str, str, str]]:
    """FLOPs of a training step and of an evaluation."""
    flops = {"training step": counts.flops_per_step, "evaluation": counts.eval_flops_per_batch}
    return [(name, f"{n:,}", scaled(n)) for name, n in flops.items()]


def presets_text(presets: Sequence[Preset]) -> str:
    """The presets, smallest first: the size guide's claim, its estimate and the exact count."""
    batch_size = TrainConfig.batch_size
    rows = []
    for preset in presets:
        model = reader.build(PuzzleHRMConfig, preset.model, "model")
        counts = count(model, batch_size)
        source = claimed(model)
        claim = str(source.claim) if source else "-"
        error = percent(source.claim_error(counts.params)) if source else "-"
        shape = f"{model.hidden_size}/{model.num_heads}/{model.H_layers}+{model.L_layers}"
        cycles = f"{model.H_cycles}x{model.L_cycles}"
        rows.append((counts.params, counts.flops_per_step, (
            preset.name, shape, cycles, claim, f"{counts.params:,}", error, f"{estimate(model):,}",
            scaled(counts.flops_per_step), in_bytes(counts.total_bytes),
        )))  # fmt: skip
    head = ("preset", "H/heads/layers", "cycles", "claimed", "exact", "off by", "guide's estimate",
            "FLOPs a step", "training bytes")  # fmt: skip
    table = aligned([head, *(row for *_, row in sorted(rows))], indent="")
    notes = (
        "claimed: by the size guide, for every model of that shape",
        "exact: trainable + puzzle embedding parameters, vocabulary 11, one puzzle identifier",
        f"FLOPs and bytes: a training step of {batch_size} sequences of 81 cells, bfloat16 forward, on a CPU",
    )
    return "\n".join([table, "", *notes])
