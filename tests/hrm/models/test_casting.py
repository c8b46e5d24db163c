"""Weights lent in another type."""

import pytest
import torch
from torch import nn

from hrm.models.layers import Linear, cast_weights


def test_weights_are_cast_once_and_gradients_reach_the_masters() -> None:
    layer = Linear(4, 3)
    model = nn.ModuleList([layer])
    x = torch.randn(2, 4, dtype=torch.bfloat16)
    with cast_weights(model, torch.bfloat16):
        lent = layer.get_weight("weight")
        assert lent.dtype == torch.bfloat16
        (layer(x) + layer(x)).sum().backward()
        assert layer.get_weight("weight") is lent
    assert layer.weight.grad is not None and layer.weight.grad.dtype == torch.float32
    torch.testing.assert_close(layer.weight.grad, 2 * x.float().sum(0).expand(3, 4), rtol=0.02, atol=0.02)


def test_float32_lends_the_masters_themselves() -> None:
    layer = Linear(4, 3)
    with cast_weights(layer, torch.float32):
        assert layer.get_weight("weight") is layer.weight


def test_the_loan_ends_with_an_error() -> None:
    layer = Linear(4, 3)
    with pytest.raises(RuntimeError, match="stop"), cast_weights(layer, torch.bfloat16):
        raise RuntimeError("stop")
    assert layer.get_weight("weight") is layer.weight
