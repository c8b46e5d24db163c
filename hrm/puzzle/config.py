"""Every number that decides a puzzle HRM's architecture, under its official name."""

from __future__ import annotations

from dataclasses import dataclass

from hrm.errors import ConfigError

POS_ENCODINGS = ("rope", "learned")
LOSS_TYPES = ("stablemax_cross_entropy", "softmax_cross_entropy")
FORWARD_DTYPES = ("float32", "bfloat16", "float16")


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
    """SwiGLU expansion E; the inner width is E*H*2/3 rounded up to `mlp_multiple`."""
    mlp_multiple: int = 256
    """The inner width is a multiple of this."""
    puzzle_emb_ndim: int | None = None
    """Numbers in one puzzle's embedding; null is `hidden_size`, 0 is none."""
    pos_encodings: str = "rope"
    """`rope` or `learned`."""
    rms_norm_eps: float = 1e-5
    rope_theta: float = 10000.0
    halt_max_steps: int = 16
    """Most ACT segments of a sequence; evaluation always makes this many."""
    halt_exploration_prob: float = 0.1
    """Chance that a training segment draws a minimum number of segments before halting."""
    q_continue: bool = True
    """Official: bootstrap the continue value by a second forward. False: halt when q_halt > 0."""
    gradient_L_steps: int = 1
    """Gradient flows through the last k L-steps and the H updates among them; 1 is official."""
    loss_type: str = "stablemax_cross_entropy"
    """`stablemax_cross_entropy` or `softmax_cross_entropy`."""
    forward_dtype: str = "bfloat16"
    """Type of the forward pass: `float32`, `bfloat16` or `float16`."""
    vocab_size: int = 11
    """Tokens; the task sets it when there is one."""
    seq_len: int = 81
    """Cells of a puzzle; the task sets it when there is one."""
    num_puzzle_identifiers: int = 1
    """Rows of the puzzle embedding; the task sets it when there is one."""

    def __post_init__(self) -> None:
        positive = (
            "hidden_size", "num_heads", "H_layers", "L_layers", "H_cycles", "L_cycles", "mlp_multiple",
            "halt_max_steps", "gradient_L_steps", "vocab_size", "seq_len", "num_puzzle_identifiers",
        )  # fmt: skip
        for name in positive:
            _require(self, name, getattr(self, name) >= 1, "must be at least 1")
        for name in ("expansion", "rms_norm_eps", "rope_theta"):
            _require(self, name, getattr(self, name) > 0, "must be above 0")
        _require(self, "h_update_period", self.h_update_period is None or self.h_update_period >= 1,
                 "must be at least 1, or null for L_cycles")  # fmt: skip
        _require(self, "puzzle_emb_ndim", self.puzzle_emb_ndim is None or self.puzzle_emb_ndim >= 0,
                 "must be 0 or more, or null for hidden_size")  # fmt: skip
        _require(self, "halt_exploration_prob", 0 <= self.halt_exploration_prob <= 1, "must lie in 0..1")
        for name, allowed in (("pos_encodings", POS_ENCODINGS), ("loss_type", LOSS_TYPES),
                              ("forward_dtype", FORWARD_DTYPES)):  # fmt: skip
            _require(self, name, getattr(self, name) in allowed, f"must be one of: {', '.join(allowed)}")
        _require(self, "num_heads", self.hidden_size % self.num_heads == 0,
                 f"must divide hidden_size={self.hidden_size}")  # fmt: skip
        if self.pos_encodings == "rope":
            _require(self, "num_heads", self.head_size % 2 == 0,
                     f"hidden_size/num_heads = {self.head_size} must be even for RoPE")  # fmt: skip

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
        return min(self.h_update_period or self.L_cycles, self.num_L_steps)

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
        """What makes two configurations one model: cycles and period only through N and min(p, N)."""
        same = {
            name: getattr(self, name)
            for name in self.__dataclass_fields__
            if name not in ("H_cycles", "L_cycles", "h_update_period", "expansion", "mlp_multiple", "puzzle_emb_ndim",
                            "gradient_L_steps")
        }  # fmt: skip
        derived = ("inner_size", "num_L_steps", "effective_period", "puzzle_embedding_size")
        same |= {name: getattr(self, name) for name in derived}
        return same | {"gradient_L_steps": min(self.gradient_L_steps, self.num_L_steps)}


def _require(config: PuzzleHRMConfig, name: str, holds: bool, rule: str) -> None:
    if not holds:
        raise ConfigError(f"model.{name}", getattr(config, name), rule)
