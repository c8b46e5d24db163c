"""The guide's advice and constraints, as far as they can be counted."""

from __future__ import annotations

from typing import Any

from hrm.config.errors import ConfigError
from hrm.size_guide.parts import BATCH_SIZE, PARTLY, Section, Verdict, always, counts, model, table, times
from hrm.system.units import format_bytes, format_scaled

SMALL_GPU_BYTES = 8 * 2**30
OFFICIAL_BATCH_SIZE = 768
MOVES: dict[str, dict[str, Any]] = {
    "cycles 2×2 to 1×1": {"H_cycles": 1, "L_cycles": 1},
    "cycles 2×2 to 2×1": {"L_cycles": 1},
    "no Q-continue forward": {"q_continue": False},
    "layers 4+4 to 2+2": {"H_layers": 2, "L_layers": 2},
    "width 512 to 384, 6 heads": {"hidden_size": 384, "num_heads": 6},
    "cycles 2×2 to 4×4": {"H_cycles": 4, "L_cycles": 4},
    "layers 4+4 to 8+8": {"H_layers": 8, "L_layers": 8},
    "width 512 to 1024": {"hidden_size": 1024},
}


def choosing() -> Section:
    """The table "Choosing a configuration"."""
    goals = {"smoke test": "tiny_demo", "laptop, MPS": "small_sudoku", "more capacity": "base_default"}
    sizes = []
    for goal, preset in goals.items():
        c, official = counts(preset), counts(preset, batch_size=OFFICIAL_BATCH_SIZE)
        sizes.append((
            goal, f"`{preset}`", f"{c.params:,}", format_scaled(c.flops_per_step), format_bytes(c.total_bytes),
            format_bytes(official.total_bytes),
        ))  # fmt: skip
    head = ("goal", "preset", "parameters", "FLOPs a step", f"bytes, batch {BATCH_SIZE}",
            f"bytes, batch {OFFICIAL_BATCH_SIZE} (official)")  # fmt: skip
    base, moved = counts(), {what: counts(**change) for what, change in MOVES.items()}
    fields = ("params", "flops_per_step", "eval_flops_per_batch", "activation_bytes")
    moves = [
        (what, *(times(getattr(c, field) / getattr(base, field)) for field in fields))
        for what, c in moved.items()
    ]
    body = f"""\
{table(head, sizes, words=2)}

What each move does to Base:

{table(("Base with", "parameters", "FLOPs a step", "FLOPs of evaluation", "activations"), moves)}

Which of them solves more puzzles is not a matter of counting: that is what the sweeps are for.
"""
    fewer, more, wider = (
        moved[what] for what in ("cycles 2×2 to 1×1", "cycles 2×2 to 4×4", "width 512 to 1024")
    )
    half, longer, wide = (times(c.flops_per_step / base.flops_per_step) for c in (fewer, more, wider))
    verdicts = [
        Verdict(
            "Cheaper compute: reduce cycles first",
            f"{half} FLOPs at 1×1; parameters and memory stay",
            always((fewer.flops_per_step < base.flops_per_step, fewer.params == base.params)),
        ),
        Verdict(
            "More reasoning compute: cycles before width",
            f"{longer} FLOPs at 4×4, nothing else; width 1024: {wide}, "
            f"{times(wider.params / base.params)} parameters",
            always((more.flops_per_step > base.flops_per_step, more.total_bytes == base.total_bytes)),
        ),
    ]
    return Section("Choosing", verdicts, body)


def constraints() -> Section:
    """What a size must satisfy."""
    rows = []
    for preset in ("tiny_demo", "small_sudoku", "base_default", "larger_85m"):
        one, two = counts(preset, batch_size=1), counts(preset, batch_size=2)
        per_sequence = two.total_bytes - one.total_bytes
        fixed = one.total_bytes - per_sequence
        rows.append((
            f"`{preset}`", format_bytes(fixed), format_bytes(per_sequence), f"{-(-fixed // per_sequence):,}",
            f"{(SMALL_GPU_BYTES - fixed) // per_sequence:,}",
        ))  # fmt: skip
    head = ("preset", "without a batch", "a sequence", "batch that equals the rest",
            f"largest batch in {format_bytes(SMALL_GPU_BYTES)}")  # fmt: skip
    divisors = [heads for heads in range(1, 129) if 128 % heads == 0]
    refused = [heads for heads in divisors if not _is_valid(hidden_size=128, num_heads=heads)]
    learned = [
        heads for heads in divisors if _is_valid(hidden_size=128, num_heads=heads, pos_encodings="learned")
    ]
    body = f"""\
Heads must divide the width, and with RoPE the quotient must be even, for it turns numbers in pairs. Of the
{len(divisors)} divisors of width 128, RoPE refuses {len(refused)} ({", ".join(map(str, refused))} heads), \
learned positions {len(divisors) - len(learned)}.

Memory is weights, gradients and optimizer states first, and activations with the batch. "Watch batch_size *
seq_len * H" watches the second part only, and of that it leaves the layers out:

{table(head, rows)}

At most: the carry, temporary buffers and the allocator's slack come on top.
"""
    verdicts = [
        Verdict(
            "`hidden_size % num_heads == 0` is all",
            "with RoPE the head size must be even, too",
            always(heads not in refused for heads in divisors),
        ),
        Verdict(
            "Memory: watch batch_size · seq_len · H",
            f"Base takes as much without a batch as for {rows[2][3]} sequences",
            PARTLY,
        ),
    ]
    return Section("Constraints", verdicts, body)


def _is_valid(**fields: Any) -> bool:
    try:
        model(**fields)
    except ConfigError:
        return False
    return True
