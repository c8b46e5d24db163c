"""The config of a puzzle HRM, with the official names."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter

from hrm.config.validation import FORWARD_DTYPE, Rule, above_0, at_least, check, from_0_to_1, one_of

POS_ENCODINGS = ("rope", "learned")
LOSS_TYPES = ("stablemax_cross_entropy", "softmax_cross_entropy")


@dataclass(frozen=True, kw_only=True)
class PuzzleHRMConfig:
    """The architecture of one puzzle HRM. Defaults are the official ones (Base).

    Raises:
        ConfigError: a value is out of range, or heads and width do not fit each other.
    """

    hidden_size: int = 512
    """Width H of the residual stream."""
    num_heads: int = 8
    """Attention heads; divides `hidden_size`."""
    H_layers: int = 4
    """Blocks of the high-level module."""
    L_layers: int = 4
    """Blocks of the low-level module."""
    H_cycles: int = 2
    """High-level cycles of a segment."""
    L_cycles: int = 2
    """Low-level steps of a high-level cycle; a segment makes N = H_cycles * L_cycles L-steps."""
    h_update_period: int | None = None
    """H updates after every p-th L-step and after the last; null is `L_cycles`, the official model."""
    expansion: float = 4.0
    """SwiGLU expansion E; the inner width is `E*H*2/3` rounded up to `mlp_multiple`."""
    mlp_multiple: int = 256
    """The inner width is a multiple of this."""
    puzzle_emb_ndim: int | None = None
    """Numbers in one puzzle's embedding; null is `hidden_size`, 0 is none."""
    pos_encodings: str = "rope"
    """`rope` or `learned`."""
    rms_norm_eps: float = 1e-5
    """Added to the mean square that a norm divides by."""
    rope_theta: float = 10000.0
    """Base of the rotary positions' wavelengths."""
    halt_max_steps: int = 16
    """Most ACT segments of a sequence; evaluation always makes exactly this many."""
    halt_exploration_prob: float = 0.1
    """Probability that a training segment draws a minimum number of segments before halting."""
    q_continue: bool = True
    """Bootstrap the continue value by a second forward pass, the official rule. False: halt when q_halt > 0."""
    gradient_L_steps: int = 1
    """Gradient flows through the last k L-steps and the H updates among them; 1 is official."""
    loss_type: str = "stablemax_cross_entropy"
    """`stablemax_cross_entropy` or `softmax_cross_entropy`."""
    forward_dtype: str = "bfloat16"
    """Type of the forward pass: `float32`, `bfloat16` or `float16`."""
    vocab_size: int = 11
    """Tokens; a task sets it."""
    seq_len: int = 81
    """Cells of a puzzle; a task sets it."""
    num_puzzle_identifiers: int = 1
    """Rows of the puzzle embedding; a task sets it."""

    def __post_init__(self) -> None:
        check(self, RULES, "model")

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.num_heads

    @property
    def inner_size(self) -> int:
        """SwiGLU inner width: round(E*H*2/3) rounded up to a multiple of `mlp_multiple`."""
        wanted = round(self.expansion * self.hidden_size * 2 / 3)
        return -(-wanted // self.mlp_multiple) * self.mlp_multiple

    @property
    def num_L_steps(self) -> int:
        """N, the L-steps of a segment."""
        return self.H_cycles * self.L_cycles

    @property
    def effective_period(self) -> int:
        """min(p, N): a longer period means one H update, as N does."""
        period = self.L_cycles if self.h_update_period is None else self.h_update_period
        return min(period, self.num_L_steps)

    @property
    def puzzle_embedding_size(self) -> int:
        """Numbers in one puzzle's embedding, `puzzle_emb_ndim` with its default filled in."""
        return self.hidden_size if self.puzzle_emb_ndim is None else self.puzzle_emb_ndim

    @property
    def puzzle_emb_len(self) -> int:
        """Positions that the puzzle embedding takes in front of the cells."""
        return -(-self.puzzle_embedding_size // self.hidden_size)

    @property
    def architecture(self) -> dict[str, object]:
        """The identity of the model: its fields and derived sizes; cycles and period only through N and min(p, N)."""
        same: dict[str, object] = dict(zip(_IDENTITY, _get_identity(self), strict=True))
        same["gradient_L_steps"] = min(self.gradient_L_steps, self.num_L_steps)
        return same


_HIDDEN = {"H_cycles", "L_cycles", "h_update_period", "expansion", "mlp_multiple", "puzzle_emb_ndim"}
"""Fields that matter only through the sizes derived from them."""
_IDENTITY = (
    *(name for name in PuzzleHRMConfig.__dataclass_fields__ if name not in {*_HIDDEN, "gradient_L_steps"}),
    *("inner_size", "num_L_steps", "effective_period", "puzzle_embedding_size"),
)
_get_identity = attrgetter(*_IDENTITY)

_SIZES = (
    "hidden_size num_heads H_layers L_layers H_cycles L_cycles mlp_multiple halt_max_steps gradient_L_steps "
    "vocab_size seq_len num_puzzle_identifiers"
)
RULES = (
    *at_least(1, *_SIZES.split()),
    *above_0("expansion", "rms_norm_eps", "rope_theta"),
    *at_least(1, "h_update_period", null="L_cycles"),
    *at_least(0, "puzzle_emb_ndim", null="hidden_size"),
    *from_0_to_1("halt_exploration_prob"),
    *one_of(POS_ENCODINGS, "pos_encodings"),
    *one_of(LOSS_TYPES, "loss_type"),
    *FORWARD_DTYPE,
    Rule(
        "num_heads",
        lambda c: c.hidden_size % c.num_heads == 0,
        lambda c: f"must divide hidden_size={c.hidden_size}",
    ),
    Rule(
        "num_heads",
        lambda c: c.pos_encodings != "rope" or c.head_size % 2 == 0,
        lambda c: f"hidden_size/num_heads = {c.head_size} must be even for RoPE",
    ),
)
