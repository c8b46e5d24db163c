"""What the size guide says of a model's parameters: its estimator, and its claims for named examples."""

from __future__ import annotations

import re

from hrm.presets import load_preset, preset_names
from hrm.puzzle.config import PuzzleHRMConfig

_CLAIM = re.compile(r"~(?P<low>[\d.]+)(?:[–-](?P<high>[\d.]+))?M")


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


def claim_of(config: PuzzleHRMConfig) -> str | None:
    """The guide's claim for a model with the parameters of `config`, in its words; None where it has none.

    Heads, cycles, halting and types change no parameter, so a claim covers every model of its shape.
    """
    for name in preset_names():
        preset = load_preset(name)
        if preset.claim and preset.family == "puzzle":
            claimed = PuzzleHRMConfig(**preset.model)
            if _shape(claimed) == _shape(config):
                return preset.claim
    return None


def claimed_range(claim: str) -> tuple[float, float]:
    """The parameters that a claim such as `~25M` or `~7–8M` names: lowest and highest."""
    match = _CLAIM.fullmatch(claim)
    assert match, claim
    return float(match["low"]) * 1e6, float(match["high"] or match["low"]) * 1e6


def claim_error(claim: str, params: int) -> float:
    """How far the exact count lies above (+) or below (-) the claim, as a fraction; 0 within its range."""
    low, high = claimed_range(claim)
    nearest = min(max(params, low), high)
    return params / nearest - 1


def _shape(config: PuzzleHRMConfig) -> tuple[object, ...]:
    """All that decides the number of parameters."""
    fields = ("hidden_size", "H_layers", "L_layers", "inner_size", "vocab_size", "puzzle_embedding_size",
              "num_puzzle_identifiers", "pos_encodings")  # fmt: skip
    return tuple(getattr(config, name) for name in fields)
