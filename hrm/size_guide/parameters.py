"""Claims about parameters: the estimator and the presets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hrm.config.presets import list_presets, load_preset
from hrm.models.count_table import estimate_by_size_guide
from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.puzzle.counting import count
from hrm.size_guide.parts import YES, Section, Verdict, always, counts, model, table, within_tolerance
from hrm.system.units import format_percent, format_scaled

GRID_WIDTHS = range(2, 1025, 2)
EXPANSIONS = (1, 2, 3, 4)


def estimator() -> Section:
    """The guide's formula and its `approx_params`."""
    tried = [count(config).params - estimate_by_size_guide(config) for config in _grid()]
    (shortfall,) = set(tried)
    grid = f"every even width to {GRID_WIDTHS[-1]:,}, expansions {EXPANSIONS[0]} to {EXPANSIONS[-1]}"
    off_path = list(_off_its_path())
    errors = [guess / exact - 1 for _, exact, guess in off_path]
    rows = [
        (what, f"{exact:,}", f"{guess:,}", f"{guess - exact:+,}", format_percent(error))
        for (what, exact, guess), error in zip(off_path, errors)
    ]
    body = f"""\
The exact count, held against built models by property tests (n = layers of both modules, I = inner width,
T = cells + puzzle positions):

    trainable = n (4H² + 3HI) + 2VH + (2H + 2) [+ TH with learned positions]
    puzzle embedding = identifiers · puzzle_emb_ndim

The guide's code has all of it but the biases of the Q head: **{shortfall} short** for each of {len(tried):,}
models ({grid}, several depths and vocabularies).
It sees only the options in its signature; off that path it is further out:

{table(("Tiny Demo with", "exact", "estimator", "off by", ""), rows)}

The 2H numbers of the initial states are not trained and in neither count.
"""
    return Section("Estimator", [_estimator_verdict(shortfall, errors), _formula_verdict()], body)


def _grid() -> Iterator[PuzzleHRMConfig]:
    for H in GRID_WIDTHS:
        layers = 1 + H // 2 % 7
        shape = {"hidden_size": H, "num_heads": 1, "H_layers": layers, "vocab_size": layers + 4}
        for expansion in EXPANSIONS:
            yield PuzzleHRMConfig(**shape, expansion=expansion)  # type: ignore[arg-type]


def _off_its_path() -> Iterator[tuple[str, int, int]]:
    changes: dict[str, dict[str, Any]] = {
        "nothing changed": {},
        "`pos_encodings=learned`": {"pos_encodings": "learned"},
        "`puzzle_emb_ndim` of 2H, 1,000 puzzles": {"puzzle_emb_ndim": 256, "num_puzzle_identifiers": 1000},
        "`puzzle_emb_ndim` of H/2, 1,000 puzzles": {"puzzle_emb_ndim": 64, "num_puzzle_identifiers": 1000},
        "`mlp_multiple=32`": {"mlp_multiple": 32},
    }
    for what, fields in changes.items():
        config = model("tiny_demo", **fields)
        yield what, count(config).params, estimate_by_size_guide(config)


def _estimator_verdict(shortfall: int, errors: list[float]) -> Verdict:
    span = f"{format_percent(min(errors))} to {format_percent(max(errors))}"
    return Verdict(
        "`approx_params` gives the parameters",
        f"always {shortfall} short; {span} with options that it does not see",
        always(within_tolerance(error) == YES for error in errors),
    )


def _formula_verdict() -> Verdict:
    errors = {name: _formula(model(name)) / counts(name).params - 1 for name in list_presets("puzzle")}
    worst = min(errors, key=errors.__getitem__)
    fits = [within_tolerance(error) == YES for error in errors.values()]
    exact = (
        f"{format_percent(errors[worst])} for `{worst}`; within 5% for {sum(fits)} of the {len(fits)} presets"
    )
    return Verdict("Total ≈ L · 12H² + 2VH + puzzle + 2H", exact, always(fits))


def _formula(config: PuzzleHRMConfig) -> int:
    """The guide's "total dominant params"."""
    H = config.hidden_size
    puzzle = config.num_puzzle_identifiers * config.puzzle_embedding_size
    return (config.H_layers + config.L_layers) * 12 * H * H + 2 * config.vocab_size * H + puzzle + 2 * H


def presets() -> Section:
    """The preset table and the sized examples."""
    rows, verdicts = [], []
    for preset in sorted(
        map(load_preset, list_presets("puzzle")), key=lambda preset: counts(preset.name).params
    ):
        config, exact, off = model(preset.name), counts(preset.name), ""
        if preset.reported_params:
            error = preset.compare_params(exact.params)
            off = format_percent(error)
            claimed = f"{preset.source}: {preset.reported_params}"
            verdicts.append(Verdict(claimed, f"{exact.params:,} ({off})", within_tolerance(error)))
        rows.append((
            f"`{preset.name}`",
            f"{config.hidden_size}/{config.num_heads}/{config.H_layers}+{config.L_layers}",
            f"{config.H_cycles}×{config.L_cycles}", preset.reported_params or "", f"{exact.trainable_params:,}",
            f"{exact.params:,}", off, format_scaled(_formula(config)),
        ))  # fmt: skip
    head = ("preset", "H/heads/layers", "cycles", "claimed", "trainable", "with puzzle embedding", "off by",
            "12H² formula")  # fmt: skip
    tiny, custom, medium = (counts(name).params for name in ("tiny_demo", "small_custom", "medium"))
    claim = load_preset("small_custom").reported_params
    smaller = f'with a layer less in each module, as in the guide\'s "Medium" command, it has {format_scaled(medium)}'
    padding = 1 - _formula(model("tiny_demo")) / tiny
    body = f"""\
{table(head, rows)}

The guide's three presets are its 12H² formula, rounded; its own estimator would have said {format_scaled(tiny)} for
Tiny Demo. "Final numbers vary slightly due to padding" undersells it: padding is {padding:.0%} of Tiny Demo.
The example of "{claim}" has {format_scaled(custom)}; {smaller}.
"""
    return Section("Presets", verdicts, body)
