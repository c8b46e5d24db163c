"""The config of training: length, optimizer, schedule, evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from hrm.config.validation import Rule, above_0, at_least, check, from_0_below_1, from_0_to_1


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a model is trained. An optimizer step is one ACT segment of one batch; for a text model, one pass over
    `accumulation` batches.

    Raises:
        ConfigError: a value is out of range.
    """

    steps: int = 1000
    """Optimizer steps of the whole run, and of its learning-rate schedule."""
    max_flops: int | None = None
    """Training FLOPs of the whole run, for models whose cost per step depends on the data. The run ends before
    the first step that could exceed them, and validations and schedule follow the FLOPs instead of `steps`."""
    batch_size: int = 32
    """Sequences of a batch (official: `global_batch_size`)."""
    accumulation: int = 1
    """Batches whose gradients one optimizer step adds up. The step equals that of a batch so many times as large,
    with the memory of one. Text models only."""
    lr: float = 1e-4
    """Peak learning rate of AdamATan2, or of AdamW for text models."""
    lr_warmup_fraction: float = 0.1
    """Linear warm-up over this fraction of `steps`."""
    lr_warmup_steps: int | None = None
    """Official spelling of the warm-up, in steps. It overrides the fraction."""
    lr_min_ratio: float = 1.0
    """The cosine after the warm-up ends at `lr * lr_min_ratio`; 1 is constant."""
    weight_decay: float = 0.1
    """Decoupled weight decay, as a multiple of the learning rate; for text models on matrices only."""
    beta1: float = 0.9
    """Decay of the optimizer's average of the gradient."""
    beta2: float = 0.95
    """Decay of the optimizer's average of the squared gradient."""
    clip_norm: float = 0.0
    """Largest norm of the gradient over all parameters. A longer gradient is scaled down to it. 0 is off."""
    puzzle_emb_lr: float = 1e-2
    """Learning rate of the puzzle embeddings' SignSGD, under the same schedule."""
    puzzle_emb_weight_decay: float = 0.1
    """Decoupled weight decay of the puzzle embeddings in a batch, as a multiple of their rate."""
    ema: float = 0.0
    """Decay of an exponential moving average of the weights, used to evaluate; 0 is off."""
    num_reports: int = 10
    """Validations of a run, at equal fractions of `steps`, or of `max_flops`."""
    eval_batch_size: int = 256
    """Sequences of an evaluation batch. It changes the speed and not the results."""

    def __post_init__(self) -> None:
        check(self, RULES, "train")

    @property
    def warmup_steps(self) -> int:
        """Steps of linear warm-up."""
        if self.lr_warmup_steps is not None:
            return self.lr_warmup_steps
        return round(self.lr_warmup_fraction * self.steps)

    def list_report_steps(self) -> list[int]:
        """Return the steps after which the run validates: fractions 1/n, 2/n, ... 1 of `steps`, rounded up.

        >>> TrainConfig(steps=10, num_reports=4).list_report_steps()
        [3, 5, 8, 10]
        """
        return [-(-self.steps * i // self.num_reports) for i in range(1, self.num_reports + 1)]


RULES = (
    *at_least(1, "steps", "batch_size", "accumulation", "num_reports", "eval_batch_size"),
    *above_0("lr", "puzzle_emb_lr"),
    *at_least(0, "weight_decay", "puzzle_emb_weight_decay", "clip_norm"),
    *from_0_below_1("beta1", "beta2", "ema"),
    *from_0_to_1("lr_warmup_fraction", "lr_min_ratio"),
    *at_least(0, "lr_warmup_steps", null="the fraction"),
    *at_least(1, "max_flops", null="steps"),
    Rule("num_reports", lambda c: c.num_reports <= c.steps, lambda c: f"must be at most steps={c.steps}"),
)
