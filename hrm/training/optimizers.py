"""The optimizers of HRM, and the moving average of its weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from hrm.config.train_config import TrainConfig
from hrm.training.schedule import compute_lr

if TYPE_CHECKING:
    from hrm.models.puzzle.recurrent_network import PuzzleEmbedding


def step_optimizers(optimizers: Iterable[Optimizer], train: TrainConfig, step: float) -> None:
    """Set the learning rate of each parameter group by the schedule, make a step and clear the gradients.

    Args:
        optimizers: each group holds its peak rate as `peak_lr`.
        train: the schedule.
        step: the optimizer step about to be made, counting from 1; see `TrainingSchedule.get_position`.
    """
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = compute_lr(
                group["peak_lr"], step, train.steps, train.warmup_steps, train.lr_min_ratio
            )
        optimizer.step()
        optimizer.zero_grad()


class AdamATan2(Optimizer):
    """Adam with an arctangent in place of the quotient, and so without epsilon (arXiv 2407.05872); decoupled decay.

    p *= 1 - lr * weight_decay;  p -= lr / (1 - beta1^t) * atan2(m, sqrt(v) / sqrt(1 - beta2^t)).

    Args:
        params: parameters or groups; those without a gradient are skipped.
        lr: step size; each group also keeps it as `peak_lr`, for schedules.
        betas: decay of the averages m of the gradient and v of its square.
        weight_decay: as a multiple of the learning rate.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.95),
        weight_decay: float = 0.1,
    ) -> None:
        super().__init__(
            params, {"lr": lr, "peak_lr": lr, "betas": betas, "weight_decay": weight_decay, "step": 0}
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if parameters:
                group["step"] += 1
                # On a GPU few kernels are fast, on a CPU each parameter in the cache for all eight passes.
                on_cpu = parameters[0].device.type == "cpu"
                for together in [[p] for p in parameters] if on_cpu else [parameters]:
                    self._update(together, group)
        return loss

    def _update(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        for p in parameters:
            if not self.state[p]:
                self.state[p] = {"m": torch.zeros_like(p), "v": torch.zeros_like(p)}
        gradients: list[Tensor] = [p.grad for p in parameters]  # type: ignore[misc]
        m = [self.state[p]["m"] for p in parameters]
        v = [self.state[p]["v"] for p in parameters]
        beta1, beta2 = group["betas"]
        torch._foreach_lerp_(m, gradients, 1 - beta1)
        torch._foreach_mul_(v, beta2)
        torch._foreach_addcmul_(v, gradients, gradients, 1 - beta2)
        scales = torch._foreach_sqrt(v)
        torch._foreach_div_(scales, math.sqrt(1 - beta2 ** group["step"]))
        # For x >= 0, atan2(y, x) is atan(y / x), which is three times as fast; the floor makes 0 / 0 the 0 of atan2.
        torch._foreach_clamp_min_(scales, torch.finfo(torch.float32).tiny)
        directions = torch._foreach_div(m, scales)
        torch._foreach_atan_(directions)
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(parameters, directions, alpha=-group["lr"] / (1 - beta1 ** group["step"]))


class SparseSignSGD(Optimizer):
    """Sign descent, with decoupled decay, on the rows of a puzzle embedding that the last segment used.

    Gradients of one row are summed over the batch first: p = p * (1 - lr * weight_decay) - lr * sign(sum).
    Rows outside the batch neither move nor decay.
    """

    def __init__(self, embedding: PuzzleEmbedding, lr: float, weight_decay: float = 0.1) -> None:
        super().__init__([embedding.weights], {"lr": lr, "peak_lr": lr, "weight_decay": weight_decay})
        self.embedding = embedding

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update the rows in the last segment's batch, if they have a gradient."""
        loss = None if closure is None else closure()
        rows, ids = self.embedding.local_weights, self.embedding.local_ids
        if rows is None or ids is None or rows.grad is None:
            return loss
        (group,) = self.param_groups
        # Equal identifiers share the slot of the first. No shape depends on the values, as it would with `unique`,
        # so the CPU does not wait for the GPU.
        first = (ids.unsqueeze(1) == ids).int().argmax(1)
        gradient = torch.zeros_like(rows).index_add_(0, first, rows.grad)[first]
        moved = rows * (1 - group["lr"] * group["weight_decay"]) - group["lr"] * gradient.sign()
        self.embedding.weights[ids] = moved
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the last segment's rows and their gradient."""
        self.embedding.local_weights = self.embedding.local_ids = None


class EMA:
    """The exponential moving average of a model's parameters over the optimizer steps.

    Step t of n has the weight decay^(n - t), divided by the sum of these weights. The initial parameters have none,
    so they do not hold short runs back. Buffers, puzzle embeddings among them, are not averaged.

    Args:
        model: must be on its device already, because its parameters must not be replaced afterwards.
        decay: in 0..1, 1 excluded.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.parameters: list[Tensor] = list(model.parameters())
        self.averages = [p.detach().clone() for p in self.parameters]
        self.decay = decay
        self.num_updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Add the weights after an optimizer step to the average."""
        self.num_updates += 1
        share = (1 - self.decay) / (1 - self.decay**self.num_updates)
        torch._foreach_lerp_(self.averages, self.parameters, share)

    @contextmanager
    def use_averages(self) -> Iterator[None]:
        """Give the model the averages inside the block; before the first update these are its own weights."""
        with torch.no_grad():
            trained = [p.clone() for p in self.parameters]
            torch._foreach_copy_(self.parameters, self.averages)
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self.parameters, trained)

    def state_dict(self) -> dict[str, Any]:
        return {"averages": self.averages, "num_updates": self.num_updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            torch._foreach_copy_(self.averages, state["averages"])
        self.num_updates = state["num_updates"]
