"""Claims about the inner width: close to 8/3 H, and what `expansion` saves."""

from __future__ import annotations

from hrm.models.puzzle.counting import block_params, sizes_of
from hrm.size_guide.parameters import EXPANSIONS, GRID_WIDTHS
from hrm.size_guide.parts import YES, Section, Verdict, always, model, table, within_tolerance
from hrm.system.units import format_percent

WIDTHS = (64, 96, 128, 192, 256, 384, 512, 768, 1024)
SAVING_WIDTHS = range(32, 1025, 32)


def expansion() -> Section:
    """`inter` close to 8/3 H, and what `expansion` saves."""
    rows = [
        (H, _inner(H), f"{_inner(H) / H:.2f}", f"{_block(H):.2f}", format_percent(_block(H) / 12 - 1),
         _num_models(H), f"{_saved_by_three(H):.0%}", f"{_saved_by_three(H, mlp_multiple=32):.0%}")
        for H in WIDTHS
    ]  # fmt: skip
    head = ("H", "I", "I/H", "block/H²", "against 12", "models among E = 1, 2, 3, 4",
            "E = 3 saves of the MLP", "with `mlp_multiple=32`")  # fmt: skip
    exact_widths = [H for H in GRID_WIDTHS if 3 * _inner(H) == 8 * H]
    step = exact_widths[0]
    assert exact_widths == list(range(step, GRID_WIDTHS[-1] + 1, step))
    saved = [_saved_by_three(H) for H in SAVING_WIDTHS]
    span = f"{min(saved):.0%} to {max(saved):.0%}"
    body = f"""\
The inner width is E·H·2/3 rounded **up** to a multiple of 256. It is (8/3)H, and a block 12H², exactly where
H is a multiple of {step}; everywhere else both are larger, at small widths by a lot. Where E·H·2/3 of several
expansions rounds up to one multiple, they are one and the same model.

{table(head, rows)}

Over the multiples of 32 up to {SAVING_WIDTHS[-1]:,}, E = 3 saves {span} of the MLP; {saved.count(0.25)} of
these {len(saved)} widths save exactly 25%.
"""
    return Section("Expansion", _verdicts(step, saved, span), body)


def _verdicts(step: int, saved: list[float], span: str) -> list[Verdict]:
    errors = {H: _block(H) / 12 - 1 for H in WIDTHS}
    worst = max(errors, key=errors.__getitem__)
    last_without = max(H for H in GRID_WIDTHS if _num_models(H) == 1)
    return [
        Verdict(
            "inter ≈ (8/3)H, a block ≈ 12H²",
            f"exact at multiples of {step}, {format_percent(errors[worst])} at {worst}",
            always(within_tolerance(error) == YES for error in errors.values()),
        ),
        Verdict(
            "`expansion=3` saves ~25% of the MLP against 4",
            f"{span} by width",
            always(within_tolerance(part / 0.25 - 1) == YES for part in saved),
        ),
        Verdict(
            "`expansion`: large impact on params",
            f"none from 1 to 4 up to width {last_without}",
            always(_num_models(H) > 1 for H in WIDTHS),
        ),
    ]


def _inner(H: int, expansion: float = 4, mlp_multiple: int = 256) -> int:
    return model(hidden_size=H, num_heads=1, expansion=expansion, mlp_multiple=mlp_multiple).inner_size


def _block(H: int) -> float:
    """Parameters of a block over H^2."""
    return block_params(sizes_of(model(hidden_size=H, num_heads=1))) / H**2


def _saved_by_three(H: int, mlp_multiple: int = 256) -> float:
    return 1 - _inner(H, 3, mlp_multiple) / _inner(H, 4, mlp_multiple)


def _num_models(H: int) -> int:
    return len({_inner(H, expansion) for expansion in EXPANSIONS})
