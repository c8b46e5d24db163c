"""The optimizers against their formulas, one number at a time."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hrm.models.puzzle.recurrent_network import PuzzleEmbedding
from hrm.training.optimizers import AdamATan2, SparseSignSGD


def test_adam_atan2_is_its_formula() -> None:
    torch.manual_seed(0)
    parameters = [torch.nn.Parameter(torch.randn(3, 2)), torch.nn.Parameter(torch.randn(4))]
    optimizer = AdamATan2(parameters, lr=0.1, betas=(0.8, 0.9), weight_decay=0.5)
    expected = [p.detach().double().flatten().tolist() for p in parameters]
    m = [[0.0] * len(values) for values in expected]
    v = [[0.0] * len(values) for values in expected]
    for t in range(1, 6):
        rate = 0.1 / t
        optimizer.param_groups[0]["lr"] = rate
        for i, p in enumerate(parameters):
            p.grad = torch.randn_like(p)
            for j, g in enumerate(p.grad.flatten().tolist()):
                m[i][j] = 0.8 * m[i][j] + 0.2 * g
                v[i][j] = 0.9 * v[i][j] + 0.1 * g * g
                angle = math.atan2(m[i][j], math.sqrt(v[i][j]) / math.sqrt(1 - 0.9**t))
                expected[i][j] = expected[i][j] * (1 - rate * 0.5) - rate / (1 - 0.8**t) * angle
        optimizer.step()
    for p, values in zip(parameters, expected):
        torch.testing.assert_close(p.detach().flatten(), torch.tensor(values), rtol=1e-5, atol=1e-6)


def test_adam_atan2_passes_over_parameters_without_gradient() -> None:
    moved, still = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    optimizer = AdamATan2([moved, still], lr=0.1)
    moved.grad = torch.ones(2)
    optimizer.step()
    assert moved.detach().lt(1).all() and still.detach().eq(1).all()


def test_adam_atan2_takes_zero_gradients() -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer = AdamATan2([parameter], lr=0.1, weight_decay=0.0)
    parameter.grad = torch.zeros(2)
    optimizer.step()
    assert parameter.detach().eq(1).all()


def test_adam_atan2_resumes_bit_for_bit() -> None:
    def run(stop: int | None) -> torch.Tensor:
        torch.manual_seed(0)
        parameter = torch.nn.Parameter(torch.randn(5))
        optimizer = AdamATan2([parameter], lr=0.1)
        for t in range(6):
            if t == stop:
                state = optimizer.state_dict()
                optimizer = AdamATan2([parameter], lr=0.7, betas=(0.1, 0.1))
                optimizer.load_state_dict(state)
            parameter.grad = torch.randn(5)
            optimizer.step()
        return parameter.detach()

    assert torch.equal(run(None), run(3))


def test_peak_rate_outlives_the_schedule() -> None:
    optimizer = AdamATan2([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    optimizer.param_groups[0]["lr"] = 0.01
    assert optimizer.param_groups[0]["peak_lr"] == 0.1
    assert optimizer.state_dict()["param_groups"][0]["peak_lr"] == 0.1


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=8), st.integers(0, 1000))
def test_sparse_sign_sgd_moves_only_the_rows_of_the_batch(ids: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    embedding = PuzzleEmbedding(5, 3)
    embedding.weights.normal_()
    before = embedding.weights.clone()
    optimizer = SparseSignSGD(embedding, lr=0.1, weight_decay=0.5)
    gradient = torch.randint(-2, 3, (len(ids), 3)).float()
    (embedding(torch.tensor(ids, dtype=torch.int32)) * gradient).sum().backward()
    optimizer.step()
    for row in range(5):
        if row in ids:
            total = sum(gradient[i] for i, used in enumerate(ids) if used == row)
            expected = before[row] * (1 - 0.1 * 0.5) - 0.1 * torch.sign(torch.as_tensor(total))
            torch.testing.assert_close(embedding.weights[row], expected)
        else:
            assert torch.equal(embedding.weights[row], before[row])


def test_sparse_sign_sgd_forgets_what_it_was_told_to() -> None:
    embedding = PuzzleEmbedding(2, 3)
    optimizer = SparseSignSGD(embedding, lr=0.1)
    embedding(torch.tensor([1])).sum().backward()
    optimizer.zero_grad()
    optimizer.step()
    assert embedding.weights.eq(0).all()


def test_sparse_sign_sgd_state_is_its_rates() -> None:
    optimizer = SparseSignSGD(PuzzleEmbedding(2, 3), lr=0.1)
    optimizer.param_groups[0]["lr"] = 0.05
    restored = SparseSignSGD(PuzzleEmbedding(2, 3), lr=0.7)
    restored.load_state_dict(optimizer.state_dict())
    assert (restored.param_groups[0]["lr"], restored.param_groups[0]["peak_lr"]) == (0.05, 0.1)


def test_lookup_without_autograd_keeps_no_rows() -> None:
    embedding = PuzzleEmbedding(2, 3)
    with torch.no_grad():
        embedding(torch.tensor([1]))
    assert embedding.local_weights is None


@pytest.mark.parametrize(("gradient", "angle"), [(1e-30, 1.0), (1e-3, 1.0), (1e18, 1.0), (-1e-30, -1.0)])
def test_adam_atan2_does_not_see_the_scale_of_gradients(gradient: float, angle: float) -> None:
    """A first step is atan(m / |g|) / (1 - beta1) = atan(0.1) / 0.1, or a right angle where v underflows."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = AdamATan2([parameter], lr=1.0, weight_decay=0.0)
    parameter.grad = torch.tensor([gradient])
    optimizer.step()
    largest = math.atan(0.1) if abs(gradient) > 1e-20 else math.pi / 2
    assert -parameter.item() == pytest.approx(angle * largest / 0.1, rel=1e-5)
