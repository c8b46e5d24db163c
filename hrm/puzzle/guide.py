"""What the size guide says of a model's parameters: its estimator, and its claims for named examples."""

from __future__ import annotations

from hrm.presets import Preset, claimed_preset
from hrm.puzzle.config import PuzzleHRMConfig


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
