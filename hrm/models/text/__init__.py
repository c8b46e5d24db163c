"""The causal text HRM: layers of H and L with adaptive halting (`docs/hrm-text.md`)."""

from __future__ import annotations

from hrm.models.registry import Family
from hrm.models.text.config import RULES, TextHRMConfig
from hrm.models.text.counting import count, fewest_training_flops

FAMILY = Family(
    name="text",
    tasks="text",
    config_class=TextHRMConfig,
    model_class="hrm.models.text.model:TextHRM",
    count=count,
    rules=RULES,
    width="n_embd",
    inner_width="inner_size",
    non_parametric_fields=frozenset(
        {
            "n_head",
            "halt_max_steps",
            "h_update_period",
            "halt_bias_init",
            "halt_epsilon",
            "ponder_loss_weight",
            "q_loss_weight",
            "dropout",
            "rms_norm_eps",
            "rope_theta",
            "forward_dtype",
            "gradient_checkpointing",
            "seq_len",
        }
    ),
    cost_only_fields=("gradient_checkpointing",),
    metrics=("loss", "perplexity", "bits_per_byte", "accuracy", "steps"),
    min_flops_per_step=fewest_training_flops,
)
