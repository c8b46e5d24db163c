"""Layers against plain formulas, and weights cast for mixed precision."""

import math

import pytest
import torch
from torch import Tensor, nn

from hrm.models import layers
from hrm.models.layers import Linear, RotaryEmbedding, SwiGLU, cast_weights, draw_truncated_normal, rotate
from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.puzzle.recurrent_network import Attention, Block, InnerHRM

CONFIG = PuzzleHRMConfig(hidden_size=16, num_heads=2, mlp_multiple=4, expansion=2)


@pytest.mark.parametrize("shape", [(1,), (7,), (16,), (48, 16), (333, 127), (512, 512)])
@pytest.mark.parametrize("std", [1.0, 0.3, 48**-0.5, 1e-3])
def test_truncated_normal_is_torch_s_to_the_bit(shape: tuple[int, ...], std: float) -> None:
    torch.manual_seed(3)
    ours, after = draw_truncated_normal(*shape, std=std), torch.rand(1)
    torch.manual_seed(3)
    wide = std / layers._TRUNCATED_STD
    torchs = torch.nn.init.trunc_normal_(torch.empty(shape), std=wide, a=-2 * wide, b=2 * wide)
    assert torch.equal(ours, torchs) and torch.equal(after, torch.rand(1))


def test_truncated_normal_has_the_deviation_asked_for() -> None:
    torch.manual_seed(0)
    draws = draw_truncated_normal(400, 500, std=0.3)
    assert draws.std().item() == pytest.approx(0.3, rel=0.01)
    assert draws.mean().abs().item() < 0.003
    # Cut at two deviations of the normal that was cut, whose own deviation is 0.8796 of that.
    assert draws.abs().max().item() == pytest.approx(2 * 0.3 / 0.8796, rel=0.001)


def test_q_head_starts_at_minus_five() -> None:
    values = InnerHRM(CONFIG).q_head(torch.randn(3, 16))
    assert values.shape == (3, 2) and values.eq(-5).all()


def test_rotation_turns_each_pair_by_its_angle() -> None:
    head_size, positions, theta = 6, 5, 100.0
    x = torch.randn(1, positions, 2, head_size)
    turned = rotate(x, RotaryEmbedding(head_size, positions, theta)())
    for position in range(positions):
        for pair in range(3):
            angle = position / theta ** (2 * pair / head_size)
            a, b = x[0, position, :, pair], x[0, position, :, pair + 3]
            expected = a * math.cos(angle) - b * math.sin(angle), b * math.cos(angle) + a * math.sin(angle)
            torch.testing.assert_close(turned[0, position, :, pair], expected[0])
            torch.testing.assert_close(turned[0, position, :, pair + 3], expected[1])


def test_scores_depend_on_distance_alone() -> None:
    rotation = RotaryEmbedding(8, 10, 10000.0)()
    query, key = torch.randn(8), torch.randn(8)
    queries, keys = (rotate(x.expand(1, 10, 1, 8), rotation)[0, :, 0] for x in (query, key))
    scores = queries @ keys.T
    for distance in range(-9, 10):
        diagonal = scores.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=1e-4, atol=1e-4)


def naive_attention(attention: Attention, x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    query, key, value = (x @ attention.qkv_proj.weight.T).view(*x.shape[:2], 3, 2, 8).unbind(2)
    query, key = rotate(query, rotation), rotate(key, rotation)
    scores = torch.einsum("bqhd,bkhd->bhqk", query, key) / math.sqrt(8)
    return torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), value).flatten(2) @ attention.o_proj.weight.T


def test_attention_is_its_formula_with_and_without_autograd() -> None:
    attention, rotation = Attention(CONFIG.hidden_size, CONFIG.num_heads), RotaryEmbedding(8, 7, 10000.0)()
    x = torch.randn(2, 7, 16)
    expected = naive_attention(attention, x, rotation)
    torch.testing.assert_close(attention(x, rotation), expected)
    with torch.no_grad():
        torch.testing.assert_close(attention(x, rotation), expected)


def test_swiglu_is_its_formula() -> None:
    mlp = SwiGLU(CONFIG.hidden_size, CONFIG.inner_size)
    x = torch.randn(2, 3, 16)
    inner = CONFIG.inner_size
    assert mlp.gate_up_proj.weight.shape == (2 * inner, 16)
    gate, up = x @ mlp.gate_up_proj.weight[:inner].T, x @ mlp.gate_up_proj.weight[inner:].T
    torch.testing.assert_close(mlp(x), (gate * gate.sigmoid() * up) @ mlp.down_proj.weight.T)


def test_block_normalises_after_each_half() -> None:
    block = Block(CONFIG)
    x = torch.randn(2, 7, 16)
    rotation = RotaryEmbedding(8, 7, 10000.0)()

    def norm(h: Tensor) -> Tensor:
        return h / (h.square().mean(-1, keepdim=True) + CONFIG.rms_norm_eps).sqrt()

    middle = norm(x + block.self_attn(x, rotation))
    torch.testing.assert_close(block(x, rotation), norm(middle + block.mlp(middle)))


def test_weights_are_cast_once_and_gradients_reach_the_float32_weights() -> None:
    layer = Linear(4, 3)
    model = nn.ModuleList([layer])
    x = torch.randn(2, 4, dtype=torch.bfloat16)
    with cast_weights(model, torch.bfloat16):
        copy = layer.get_weight("weight")
        assert copy.dtype == torch.bfloat16
        (layer(x) + layer(x)).sum().backward()
        assert layer.get_weight("weight") is copy
    assert layer.weight.grad is not None and layer.weight.grad.dtype == torch.float32
    torch.testing.assert_close(layer.weight.grad, 2 * x.float().sum(0).expand(3, 4), rtol=0.02, atol=0.02)


def test_float32_weights_are_not_copied() -> None:
    layer = Linear(4, 3)
    with cast_weights(layer, torch.float32):
        assert layer.get_weight("weight") is layer.weight


def test_an_error_ends_the_cast() -> None:
    layer = Linear(4, 3)
    with pytest.raises(RuntimeError, match="stop"), cast_weights(layer, torch.bfloat16):
        raise RuntimeError("stop")
    assert layer.get_weight("weight") is layer.weight
