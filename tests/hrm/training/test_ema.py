"""The weight average against its definition."""

import pytest
import torch
from torch import nn

from hrm.training.optimizers import EMA


def test_average_weighs_recent_steps_more_and_not_the_start() -> None:
    model, decay = nn.Linear(1, 1, bias=False), 0.9
    ema = EMA(model, decay)
    weights = []
    for value in (3.0, -1.0, 5.0):
        with torch.no_grad():
            model.weight.fill_(value)
        weights.append(value)
        ema.update()
    shares = [decay ** (len(weights) - t) for t in range(1, len(weights) + 1)]
    expected = sum(share * weight for share, weight in zip(shares, weights)) / sum(shares)
    with ema.use_averages():
        assert model.weight.item() == pytest.approx(expected)
    assert model.weight.item() == 5.0


def test_trained_weights_return_after_an_error() -> None:
    model = nn.Linear(1, 1, bias=False)
    ema = EMA(model, 0.5)
    ema.update()
    with torch.no_grad():
        model.weight.fill_(7.0)
    with pytest.raises(RuntimeError, match="stop"), ema.use_averages():
        raise RuntimeError("stop")
    assert model.weight.item() == 7.0


def test_state_restores_the_average() -> None:
    model = nn.Linear(2, 2)
    ema, restored = EMA(model, 0.9), EMA(model, 0.9)
    for _ in range(3):
        with torch.no_grad():
            model.weight.normal_()
        ema.update()
    restored.load_state_dict(ema.state_dict())
    ema.update()
    restored.update()
    assert all(torch.equal(a, b) for a, b in zip(ema.averages, restored.averages))
