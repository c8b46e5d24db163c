"""The recurrence: its schedule, where gradient flows, and embeddings of every kind."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hrm.models.layers import plan_h_updates
from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.puzzle.recurrent_network import InnerHRM
from tests.hrm.models.puzzle.conftest import small_config


def official_order(H_cycles: int, L_cycles: int) -> str:
    """The official nested loop, the last L-step and H update after it included."""
    return "".join("L" * L_cycles + "H" for _ in range(H_cycles))


def order(schedule: tuple[bool, ...]) -> str:
    return "".join("LH" if updates_H else "L" for updates_H in schedule)


@given(st.integers(1, 6), st.integers(1, 6))
def test_default_period_is_the_official_order(H_cycles: int, L_cycles: int) -> None:
    config = small_config(H_cycles=H_cycles, L_cycles=L_cycles)
    assert order(plan_h_updates(config.num_L_steps, config.effective_period)) == official_order(
        H_cycles, L_cycles
    )


@given(st.integers(1, 40), st.integers(1, 50))
def test_schedule_updates_every_period_and_at_the_end(num_L_steps: int, period: int) -> None:
    schedule = plan_h_updates(num_L_steps, period)
    assert len(schedule) == num_L_steps
    assert sum(schedule) == math.ceil(num_L_steps / period)
    assert schedule[-1]
    assert plan_h_updates(num_L_steps, min(period, num_L_steps)) == schedule


class Trace:
    """Records the calls of the two modules of a network, and whether autograd saw them."""

    def __init__(self, inner: InnerHRM) -> None:
        self.calls = ""
        for name in ("L", "H"):
            inner.get_submodule(f"{name}_level").register_forward_hook(
                lambda _module, _inputs, output, name=name: self.note(name, output.requires_grad)
            )

    def note(self, name: str, recorded: bool) -> None:
        self.calls += name if recorded else name.lower()


def run(config: PuzzleHRMConfig, gradient_L_steps: int) -> str:
    inner = InnerHRM(config)
    trace = Trace(inner)
    embedding = inner.embed(torch.zeros(1, 6, dtype=torch.int32), torch.zeros(1, dtype=torch.int32))
    state = torch.zeros_like(embedding)
    inner.run_segment((state, state), embedding, gradient_L_steps)
    return trace.calls


@pytest.mark.parametrize(
    ("fields", "gradient_L_steps", "expected"),
    [
        ({"H_cycles": 2, "L_cycles": 2}, 1, "llhlLH"),
        ({"H_cycles": 1, "L_cycles": 1}, 1, "LH"),
        ({"H_cycles": 2, "L_cycles": 2}, 0, "llhllh"),
        ({"H_cycles": 2, "L_cycles": 2}, 3, "lLHLLH"),
        ({"H_cycles": 2, "L_cycles": 2}, 9, "LLHLLH"),
        ({"H_cycles": 2, "L_cycles": 2, "h_update_period": 1}, 1, "lhlhlhLH"),
        ({"H_cycles": 2, "L_cycles": 2, "h_update_period": 3}, 2, "llLHLH"),
        ({"H_cycles": 2, "L_cycles": 2, "h_update_period": 9}, 1, "lllLH"),
    ],
)
def test_autograd_records_the_last_steps_only(
    fields: dict[str, int], gradient_L_steps: int, expected: str
) -> None:
    assert run(small_config(**fields), gradient_L_steps) == expected


def test_one_step_gradient_is_that_of_the_last_step_alone() -> None:
    torch.manual_seed(0)
    inner = InnerHRM(small_config(H_cycles=2, L_cycles=2))
    inputs, ids = torch.randint(0, 11, (3, 6)), torch.zeros(3, dtype=torch.int32)
    embedding = inner.embed(inputs, ids)
    state = torch.randn_like(embedding), torch.randn_like(embedding)
    inner.run_segment(state, embedding, 1)[0].square().sum().backward()
    one_step = {name: p.grad.clone() for name, p in inner.named_parameters() if p.grad is not None}

    inner.zero_grad()
    rotation = inner.rotary_emb()
    embedding = inner.embed(inputs, ids)
    with torch.no_grad():
        z_H, z_L = state
        z_L = inner.L_level(z_L, z_H + embedding, rotation)
        z_L = inner.L_level(z_L, z_H + embedding, rotation)
        z_H = inner.H_level(z_H, z_L, rotation)
        z_L = inner.L_level(z_L, z_H + embedding, rotation)
    z_L = inner.L_level(z_L, z_H + embedding, rotation)
    inner.H_level(z_H, z_L, rotation).square().sum().backward()
    for name, p in inner.named_parameters():
        assert (name in one_step) == (p.grad is not None)
        if p.grad is not None:
            assert torch.equal(one_step[name], p.grad), name


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 40), st.sampled_from(["rope", "learned"]))
def test_embedding_holds_the_padded_puzzle_then_the_tokens(ndim: int, pos_encodings: str) -> None:
    config = small_config(puzzle_emb_ndim=ndim, pos_encodings=pos_encodings, num_puzzle_identifiers=3)
    inner = InnerHRM(config)
    if inner.puzzle_emb is not None:
        inner.puzzle_emb.weights.normal_()
    inputs, ids = torch.randint(0, 11, (2, 6), dtype=torch.int32), torch.tensor([2, 0], dtype=torch.int32)
    embedding = inner.embed(inputs, ids)
    num_puzzle_positions = math.ceil(ndim / 16)
    assert embedding.shape == (2, num_puzzle_positions + 6, 16)
    plain = embedding / 4
    if inner.embed_pos is not None:
        plain = plain * math.sqrt(2) - inner.embed_pos.embedding_weight
    tokens = inner.embed_tokens.embedding_weight[inputs]
    torch.testing.assert_close(plain[:, num_puzzle_positions:], tokens, rtol=1e-4, atol=1e-5)
    if inner.puzzle_emb is not None:
        rows = plain[:, :num_puzzle_positions].flatten(1)
        torch.testing.assert_close(rows[:, :ndim], inner.puzzle_emb.weights[ids], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(rows[:, ndim:], torch.zeros_like(rows[:, ndim:]), atol=1e-5, rtol=0)
