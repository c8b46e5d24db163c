"""The causal text HRM: layers of H and L with adaptive halting (`docs/hrm-text.md`)."""

from __future__ import annotations

from hrm.models.registry import Family
from hrm.models.text.config import RULES, TextHRMConfig
from hrm.models.text.counting import count, count_min_training_flops

FAMILY = Family(
    name="text",
    tasks="text",
    config_class=TextHRMConfig,
    model_class="hrm.models.text.model:TextHRM",
    count=count,
    rules=RULES,
    width="n_embd",
    inner_width="inner_size",
    parametric_fields=frozenset(["n_embd", "n_layers", "d_ff", "vocab_size"]),
    cost_only_fields=("gradient_checkpointing",),
    metrics=("loss", "perplexity", "bits_per_byte", "accuracy", "steps"),
    min_flops_per_step=count_min_training_flops,
)
