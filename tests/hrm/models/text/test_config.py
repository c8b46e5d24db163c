"""What a text HRM's config refuses."""

from __future__ import annotations

from typing import Any

import pytest

from hrm.config.errors import ConfigError
from hrm.models.text.config import TextHRMConfig


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_head": 7}, "model.n_head: given 7; must divide n_embd=384"),
        ({"n_embd": 18, "n_head": 6}, "model.n_head: given 6; n_embd/n_head = 3 must be even for RoPE"),
        ({"h_update_period": 0}, "model.h_update_period: given 0; must be at least 1"),
        ({"halt_epsilon": 0.0}, "model.halt_epsilon: given 0.0; must lie between 0 and 1"),
        ({"forward_dtype": "int8"}, "must be one of: float32, bfloat16, float16"),
    ],
)
def test_messages(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TextHRMConfig(**fields)
