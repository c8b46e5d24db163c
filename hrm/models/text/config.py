"""The config of a text HRM, with the documented names."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter

from hrm.config.validation import FORWARD_DTYPE, Rule, above_0, at_least, between, check, from_0_below_1


@dataclass(frozen=True, kw_only=True)
class TextHRMConfig:
    """The architecture of one causal text HRM. Defaults are the documented 50M model.

    Raises:
        ConfigError: a value is out of range, or heads and width do not fit each other.
    """

    n_embd: int = 384
    """Width d of the residual stream."""
    n_head: int = 6
    """Attention heads; divides `n_embd`."""
    n_layers: int = 8
    """Layers, each an H block and an L block of its own."""
    d_ff: int | None = None
    """SwiGLU inner width; null is 4 * n_embd, as in the documented models."""
    halt_max_steps: int = 6
    """T, the most steps of a layer; L runs at every step."""
    h_update_period: int = 2
    """H updates after every p-th step and after step T. A token may only halt at these updates."""
    halt_bias_init: float = -2.2
    """Initial bias of the halting logit: -2.2 gives a tenth of the remaining output to an H update."""
    halt_epsilon: float = 0.01
    """A token halts when at most this share of its output remains."""
    ponder_loss_weight: float = 0.01
    """Weight of the expected share of T steps, per token and layer, relative to nats per token."""
    q_loss_weight: float = 0.01
    """Weight of the Q networks' loss; it trains nothing but the Q networks."""
    dropout: float = 0.1
    """Fraction of each sublayer's output that is dropped in training."""
    rms_norm_eps: float = 1e-6
    """Added to the mean square that a norm divides by."""
    rope_theta: float = 10000.0
    """Base of the rotary positions' wavelengths."""
    forward_dtype: str = "bfloat16"
    """Type of the forward pass: `float32`, `bfloat16` or `float16`."""
    gradient_checkpointing: bool = False
    """Keep only the input of each block call and compute the rest again in the backward pass. This takes less
    memory and a third more time, and gives the same gradients."""
    vocab_size: int = 32128
    """Tokens; a task sets it. The default is T5's."""
    seq_len: int = 256
    """Tokens of the context; a task sets it."""

    def __post_init__(self) -> None:
        check(self, RULES, "model")

    @property
    def head_size(self) -> int:
        return self.n_embd // self.n_head

    @property
    def inner_size(self) -> int:
        """SwiGLU inner width, `d_ff` with its default filled in."""
        return 4 * self.n_embd if self.d_ff is None else self.d_ff

    @property
    def effective_period(self) -> int:
        """min(p, T): a longer period means one H update, as T does."""
        return min(self.h_update_period, self.halt_max_steps)

    @property
    def num_H_updates(self) -> int:
        """H updates of a layer in which some token continues to step T."""
        return -(-self.halt_max_steps // self.effective_period)

    @property
    def architecture(self) -> dict[str, object]:
        """The identity of the model: fields, with the period only through min(p, T), and the inner width."""
        return dict(zip(_IDENTITY, _get_identity(self), strict=True))


_IDENTITY = (
    *(
        name
        for name in TextHRMConfig.__dataclass_fields__
        if name not in {"d_ff", "h_update_period", "gradient_checkpointing"}
    ),
    *("inner_size", "effective_period"),
)
_get_identity = attrgetter(*_IDENTITY)

LEAST_WIDTH = 4
"""The Q network is a quarter as wide as the model."""
RULES = (
    *at_least(1, "vocab_size", "seq_len", "n_head", "n_layers", "halt_max_steps", "h_update_period"),
    *above_0("rms_norm_eps", "rope_theta"),
    *at_least(0, "ponder_loss_weight", "q_loss_weight"),
    *at_least(LEAST_WIDTH, "n_embd"),
    *at_least(1, "d_ff", null="4 * n_embd"),
    *between(0, 1, "halt_epsilon"),
    *from_0_below_1("dropout"),
    *FORWARD_DTYPE,
    Rule("n_head", lambda c: c.n_embd % c.n_head == 0, lambda c: f"must divide n_embd={c.n_embd}"),
    Rule(
        "n_head",
        lambda c: c.head_size % 2 == 0,
        lambda c: f"n_embd/n_head = {c.head_size} must be even for RoPE",
    ),
)
