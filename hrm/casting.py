"""Float32 master weights, used in the type of the forward pass: cast once a segment, not once a call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Casting(nn.Module):
    """A layer whose parameters may be lent in another type; `self.lent` falls back to the masters."""

    def __init__(self) -> None:
        super().__init__()
        self._lent: dict[str, Tensor] = {}

    def lent(self, name: str) -> Tensor:
        """The parameter `name`, in the type of the forward pass inside `cast_once`."""
        return self._lent[name] if name in self._lent else getattr(self, name)


@contextmanager
def cast_once(model: nn.Module, dtype: torch.dtype) -> Iterator[None]:
    """Within, every `Casting` layer of `model` computes with its weights in `dtype`.

    The cast is differentiable and made once, however many times a layer then runs; gradients arrive in the
    float32 masters. Under float32 nothing is cast.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, Casting)]
    for layer in layers:
        layer._lent = {name: parameter.to(dtype) for name, parameter in layer.named_parameters(recurse=False)}
    try:
        yield
    finally:
        for layer in layers:
            layer._lent = {}
