"""The puzzle HRM: ACT, H/L cycles, puzzle embeddings (reference: sapientinc/HRM, arXiv 2506.21734)."""

from __future__ import annotations

from hrm.models.puzzle.config import RULES, PuzzleHRMConfig
from hrm.models.puzzle.counting import count
from hrm.models.registry import Family

FAMILY = Family(
    name="puzzle",
    tasks="puzzle",
    config_class=PuzzleHRMConfig,
    model_class="hrm.models.puzzle.model:PuzzleHRM",
    count=count,
    rules=RULES,
    width="hidden_size",
    inner_width="inner_size",
    parametric_fields=frozenset(
        [
            "hidden_size",
            "H_layers",
            "L_layers",
            "expansion",
            "mlp_multiple",
            "puzzle_emb_ndim",
            "pos_encodings",
            "vocab_size",
            "seq_len",
            "num_puzzle_identifiers",
        ]
    ),
    metrics=("loss", "exact_accuracy", "cell_accuracy", "blank_accuracy", "q_halt_accuracy"),
)
