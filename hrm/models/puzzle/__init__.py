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
    non_parametric_fields=frozenset(
        {
            "num_heads",
            "H_cycles",
            "L_cycles",
            "h_update_period",
            "rms_norm_eps",
            "rope_theta",
            "loss_type",
            "halt_max_steps",
            "halt_exploration_prob",
            "q_continue",
            "gradient_L_steps",
            "forward_dtype",
        }
    ),
    metrics=("loss", "exact_accuracy", "cell_accuracy", "blank_accuracy", "q_halt_accuracy"),
)
