"""Claims about single options: depth and width, heads, puzzle embeddings, halting, precision."""

from __future__ import annotations

from hrm.models.puzzle.counting import block_params, sizes_of
from hrm.size_guide.parts import (
    BATCH_SIZE,
    YES,
    Section,
    Verdict,
    always,
    counts,
    model,
    table,
    times,
    unchanged,
    within_tolerance,
)
from hrm.system.units import format_bytes, format_percent, format_scaled

DOUBLED_WIDTHS = (64, 128, 256, 512, 1024)


def depth_and_width() -> Section:
    """Scaling guidance 1 and 2."""
    base, one_L, two_L, one_H = counts(), counts(L_layers=5), counts(L_layers=6), counts(H_layers=5)
    changes = {
        "an L layer more": one_L,
        "an H layer more": one_H,
        "one of each": counts(H_layers=5, L_layers=5),
    }
    fields = ("params", "flops_per_step", "activation_bytes")
    added = [
        (what, f"{more.params - base.params:+,}",
         *(format_percent(getattr(more, field) / getattr(base, field) - 1) for field in fields))
        for what, more in changes.items()
    ]  # fmt: skip
    deep = counts(hidden_size=256, H_layers=16, L_layers=16)
    equal_params = [
        (
            what,
            f"{c.params:,}",
            format_scaled(c.flops_per_step),
            format_bytes(c.activation_bytes),
            format_bytes(c.total_bytes),
        )
        for what, c in (("512 wide, 4+4 (Base)", base), ("256 wide, 16+16", deep))
    ]
    flops_of_L, flops_of_H = (more.flops_per_step - base.flops_per_step for more in (one_L, one_H))
    body = f"""\
{table(("Base with", "parameters", "", "FLOPs", "activations"), added)}

An L layer runs in all N L-steps, an H layer in the U updates: equal in parameters, \
{flops_of_L / flops_of_H:.2g} to 1 in FLOPs
at 2×2 cycles. At equal parameters depth is dearer in memory than width, for activations grow with H · layers
and parameters with H² · layers:

{table(("shape", "parameters", "FLOPs a step", "activations", "training bytes"), equal_params)}
"""
    block = block_params(sizes_of(model())) / 512**2
    is_linear = two_L.params - one_L.params == one_L.params - base.params
    doubled = [counts(hidden_size=2 * H).params / counts(hidden_size=H).params for H in DOUBLED_WIDTHS]
    more_memory = deep.activation_bytes / base.activation_bytes
    verdicts = [
        Verdict("Depth: linear, ≈ 12H² a block", f"linear; {block:.4g}H² at Base's width",
                always((is_linear, within_tolerance(block / 12 - 1) == YES))),
        Verdict("Width: quadratic", f"{times(min(doubled))} to {times(max(doubled))} by doubling",
                always(within_tolerance(ratio / 4 - 1) == YES for ratio in doubled)),
        Verdict("Width after depth, if memory allows",
                f"16+16 at width 256 has Base's parameters and {times(more_memory)} its activations",
                always([more_memory < 1])),
        Verdict("Balanced H/L pairs for symmetry",
                f"in parameters; an L layer costs the FLOPs of {flops_of_L / flops_of_H:.2g} H layers",
                always((one_L.params == one_H.params, flops_of_L == flops_of_H))),
    ]  # fmt: skip
    return Section("Depth and width", verdicts, body)


def options() -> Section:
    """The notes on heads, puzzle embeddings, halting and precision."""
    base, ragged, one_segment = counts(), counts(puzzle_emb_ndim=513), counts(halt_max_steps=1)
    num_positions = model(puzzle_emb_ndim=513).puzzle_emb_len
    num_params = ragged.puzzle_embedding_params
    dearer = format_percent(ragged.flops_per_step / base.flops_per_step - 1)
    cheaper = format_percent(one_segment.flops_per_step / base.flops_per_step - 1)
    body = f"""\
- **Heads** change neither parameters nor FLOPs; fused attention keeps one number a head and position.
- **`puzzle_emb_ndim`** is not rounded up as parameters: 513 at width 512 are {num_params} a puzzle. What is
  rounded up is the positions that they take, {num_positions} instead of one, at {dearer} FLOPs.
- **Halting** has no parameters beyond the Q head's, and exploration costs nothing. `halt_max_steps=1` drops
  the Q-continue forward, {cheaper} FLOPs a step. Evaluation always makes `halt_max_steps` segments, by
  default {model().halt_max_steps}: {format_scaled(base.eval_flops_per_batch)} FLOPs a batch.
- **bfloat16** makes activations smaller, but a step casts the float32 weights to a second copy. It saves
  memory only where activations outweigh weights:

{_precision_table()}
"""
    saved = {batch_size: _bfloat16_saves(batch_size) for batch_size in (BATCH_SIZE, 1)}
    heads = [{"num_heads": num_heads} for num_heads in (1, 2, 4, 16, 32, 64, 128, 256)]
    halting = ({"halt_max_steps": 1}, {"halt_max_steps": 64}, {"halt_exploration_prob": 0.5})
    adds = num_params - base.puzzle_embedding_params
    is_rounded = (num_params % 512 == 0, num_positions == 2)
    verdicts = [
        Verdict("`num_heads` alone changes no parameter", "none, nor FLOPs", unchanged("params", *heads)),
        Verdict("`puzzle_emb_ndim` is rounded up",
                f"513 instead of 512 adds {adds} parameter and a whole position", always(is_rounded)),
        Verdict("`halt_*`: no parameter impact", "none", unchanged("params", *halting)),
        Verdict("`bfloat16`: lower memory",
                ", ".join(f"{format_percent(change)} at batch {size}" for size, change in saved.items()),
                always(change < 0 for change in saved.values())),
    ]  # fmt: skip
    return Section("Options", verdicts, body)


def _bfloat16_saves(batch_size: int) -> float:
    half, full = (counts(batch_size=batch_size, forward_dtype=dtype) for dtype in ("bfloat16", "float32"))
    return half.total_bytes / full.total_bytes - 1


def _precision_table() -> str:
    rows = []
    for batch_size in (1, 8, 32, 128):
        both = [counts(batch_size=batch_size, forward_dtype=dtype) for dtype in ("bfloat16", "float32")]
        rows.append((
            batch_size, *(format_bytes(c.activation_bytes) for c in both),
            *(format_bytes(c.total_bytes) for c in both), format_percent(_bfloat16_saves(batch_size)),
        ))  # fmt: skip
    head = ("Base, batch of", "activations, bfloat16", "float32", "total, bfloat16", "float32", "difference")
    return table(head, rows)
