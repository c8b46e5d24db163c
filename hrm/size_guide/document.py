"""The document: verdicts first, then the tables behind them."""

from __future__ import annotations

from hrm.size_guide import advice, commands, compute, expansion, options, parameters
from hrm.size_guide.parts import BATCH_SIZE, PARTLY, TOLERANCE, YES, table

SECTIONS = (
    parameters.estimator,
    parameters.presets,
    expansion.expansion,
    options.depth_and_width,
    options.options,
    compute.cycles,
    compute.laws,
    advice.choosing,
    commands.commands,
    advice.constraints,
)


def document() -> str:
    """The whole text, every figure of it counted anew."""
    sections = [make() for make in SECTIONS]
    verdicts = [
        (f"[{section.title}](#{section.anchor})", verdict.claim, verdict.exact, verdict.holds)
        for section in sections
        for verdict in section.verdicts
    ]
    num_holding, num_partly = (sum(row[-1] == holds for row in verdicts) for holds in (YES, PARTLY))
    head = f"""\
# The size guide, checked

The size guide tells how large a puzzle HRM gets and what it costs. Here each of its claims stands beside the
exact figure, counted from the config alone by formulas (`hrm/models/puzzle/counting.py`) that property tests hold
equal to built models, to torch's FLOP counter and to the tensors that autograd saves. Of {len(verdicts)}
claims {num_holding} hold, {num_partly} hold in part.

Unless a table says otherwise: vocabulary 11, 81 cells, one puzzle identifier, `puzzle_emb_ndim` = H, RoPE,
bfloat16, a training step of {BATCH_SIZE} sequences. An approximate claim holds within {TOLERANCE:.0%}. FLOPs
are those of matrix products, two a multiply-add.

Any other model: `python -m hrm.count hidden_size=384 num_heads=6 H_layers=3 L_layers=3`; all presets:
`python -m hrm.count presets`. This page: `python -m hrm.size_guide docs/size-guide.md`.

{table(("section", "the guide says", "exact", "holds"), verdicts, words=4)}
"""
    return "\n".join([head, *(f"## {section.title}\n\n{section.body}" for section in sections)])
