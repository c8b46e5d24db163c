"""Claims about FLOPs and memory: what cycles cost, and the guide's three laws."""

from __future__ import annotations

from typing import Any

from hrm.models.puzzle.counting import block_flops, head_flops, module_flops, sizes_of
from hrm.size_guide.parts import (
    BATCH_SIZE,
    TOLERANCE,
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
from hrm.system.units import format_bytes, format_scaled

CYCLES = ((1, 1), (1, 2), (2, 1), (2, 2), (3, 3), (4, 4), (1, 16))
CELLS = {"4x4": 16, "6x6": 36, "9x9": 81, "30x30": 900}


def cycles() -> Section:
    """What cycles cost, and the guide's law of FLOPs."""
    changes: list[dict[str, Any]] = [
        {"H_cycles": H_cycles, "L_cycles": L_cycles} for H_cycles, L_cycles in CYCLES
    ]
    one = counts(**changes[0]).flops_per_step
    rows, products, sums = [], [], []
    for (H_cycles, L_cycles), change in zip(CYCLES, changes):
        s, exact = sizes_of(model(**change)), counts(**change)
        ratio = exact.flops_per_step / one
        product, total = (1 + H_cycles * L_cycles) / 2, (1 + H_cycles + L_cycles) / 3
        products.append(abs(product / ratio - 1))
        sums.append(abs(total / ratio - 1))
        rows.append((
            f"{H_cycles}×{L_cycles}", s.L_steps, s.H_updates, format_scaled(exact.flops_per_step), times(ratio),
            times((s.L_steps + s.H_updates + 2) / 4), times(product), times(total), f"{exact.params:,}",
            format_bytes(exact.activation_bytes),
        ))  # fmt: skip
    head = ("cycles H×L", "L-steps N", "H updates U", "FLOPs", "exact", "(N + U + 2)/4", "1 + H·L",
            "1 + H + L", "parameters", "activations")  # fmt: skip
    body = f"""\
A segment makes N = H·L L-steps and U = H H-updates, then the same again, without the cells' head, for the
Q-continue target; only one of each is differentiated, at twice its forward. With as many H as L layers a step
costs 2(N + U) + 4 module passes: no function of one number "cycles". Base, relative to 1×1:

{table(head, rows)}

Where a step's FLOPs go:

{_composition_table()}
"""
    verdicts = [
        Verdict("Cycles add no parameters", "none, at any cycles", unchanged("params", *changes)),
        Verdict(
            "FLOPs are O((1 + cycles) · L · H²)",
            f"off by up to {max(products):.0%} (cycles = H·L) or {max(sums):.0%} (H + L)",
            within_tolerance(min(max(products), max(sums))),
        ),
    ]
    return Section("Cycles", verdicts, body)


def _composition_table() -> str:
    rows = []
    for preset in ("tiny_demo", "base_default", "compute_scaled"):
        s, total = sizes_of(model(preset)), counts(preset).flops_per_step
        L_step, H_update = module_flops(s, BATCH_SIZE)
        q_head, lm_head = head_flops(s, BATCH_SIZE)
        segment = s.L_steps * L_step + s.H_updates * H_update
        recorded = s.gradient_L_steps * L_step + s.gradient_H_updates * H_update
        parts = (segment - recorded, recorded, 2 * recorded, segment, 4 * q_head + 3 * lm_head)
        assert sum(parts) == total
        rows.append((f"`{preset}`", format_scaled(total), *(f"{part / total:.1%}" for part in parts)))
    head = ("preset", "FLOPs a step", "forward, no gradient", "forward, recorded", "backward",
            "Q-continue forward", "heads")  # fmt: skip
    return table(head, rows)


FIELDS = ("params", "activation_bytes", "flops_per_step")
DOUBLED: dict[str, tuple[dict[str, Any], tuple[float | None, ...]]] = {
    # What is changed in Base, and by how much the guide's laws multiply each of FIELDS.
    "batch size": ({"batch_size": 2 * BATCH_SIZE}, (1, 2, None)),
    "cells": ({"seq_len": 162}, (1, 2, None)),
    "`hidden_size`": ({"hidden_size": 1024}, (4, 2, 4)),
    "`num_heads`": ({"num_heads": 16}, (1, 1, 1)),
    "`H_layers`, `L_layers`": ({"H_layers": 8, "L_layers": 8}, (2, 1, 2)),
    "both cycles (N from 4 to 16)": ({"H_cycles": 4, "L_cycles": 4}, (1, 4, 17 / 5)),
    "`gradient_L_steps`": ({"gradient_L_steps": 2}, (1, 1, 1)),
}


def laws() -> Section:
    """The guide's three scaling laws, each factor doubled alone."""
    rows: list[tuple[str, ...]] = []
    hold: dict[str, list[bool]] = {field: [] for field in FIELDS}
    for what, (change, claims) in DOUBLED.items():
        cells = [what]
        for field, claim in zip(FIELDS, claims):
            ratio = _ratio(field, change)
            holds = claim is None or within_tolerance(ratio / claim - 1) == YES
            hold[field].append(holds)
            cells += ["" if claim is None else times(claim), times(ratio) if holds else f"**{times(ratio)}**"]
        rows.append(tuple(cells))
    head = ("doubled", "params claimed", "exact", "activations claimed", "exact", "FLOPs claimed", "exact")
    body = f"""\
Base, one factor doubled at a time; **bold** is off by more than {TOLERANCE:.0%}. The guide's FLOPs are a
token's, so they say nothing of batch and cells; its cycles are read as the product.

{table(head, rows)}

- With the one-step gradient, cycles do not touch activation memory: only the last L-step and the last H
  update are kept. Layers do, and the guide leaves them out. `gradient_L_steps` is the option that multiplies
  it.
- Attention's scores grow with the square of the cells, which O(L · H²) leaves out:

{_attention_table()}

Activations are what autograd keeps for one segment's backward on a CPU, each storage once, as held against
the tensors that it saves there: fused attention, so no T×T scores; attention and the norms' inputs in
float32, which other devices may keep in the forward type.
"""
    wider, deeper, longer = (
        DOUBLED[what][0]
        for what in ("`hidden_size`", "`H_layers`, `L_layers`", "both cycles (N from 4 to 16)")
    )
    memory = "activation_bytes"
    verdicts = [
        Verdict(
            "Params are O(L · H²)",
            f"{times(_ratio('params', wider))} when Base's width doubles: less is rounded up",
            always(hold["params"]),
        ),
        Verdict(
            "Activation memory is O(batch · seq_len · H · cycles)",
            f"doubled, cycles give {times(_ratio(memory, longer))}, layers {times(_ratio(memory, deeper))}",
            always(hold[memory]),
        ),
    ]
    return Section("Scaling laws", verdicts, body)


def _ratio(field: str, change: dict[str, Any]) -> float:
    return getattr(counts(**change), field) / getattr(counts(), field)


def _attention_table() -> str:
    rows = []
    for preset in ("tiny_demo", "small_sudoku", "base_default", "larger_85m"):
        blocks = [block_flops(sizes_of(model(preset, seq_len=cells)), 1) for cells in CELLS.values()]
        rows.append((f"`{preset}`", *(f"{attention / (rest + attention):.1%}" for rest, attention in blocks)))
    return table(("attention's share of a block's FLOPs", *(f"{name} cells" for name in CELLS)), rows)
