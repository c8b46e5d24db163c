"""What the tests that every model family must pass need to know of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from hrm.models.base import Model, TensorBatch
from hrm.models.layers import CastableLayer
from hrm.models.puzzle.config import LOSS_TYPES, POS_ENCODINGS, PuzzleHRMConfig
from hrm.models.registry import Family, get_family
from hrm.models.text.config import LEAST_WIDTH, TextHRMConfig

Strategies = Mapping[str, st.SearchStrategy[Any]]


@st.composite
def puzzle_configs(draw: st.DrawFn) -> PuzzleHRMConfig:
    """Small valid configs that reach every branch of the formulas."""
    num_heads = draw(st.integers(1, 3))
    hidden_size = num_heads * draw(st.sampled_from([2, 4, 6, 8]))
    return PuzzleHRMConfig(
        hidden_size=hidden_size,
        num_heads=num_heads,
        H_layers=draw(st.integers(1, 3)),
        L_layers=draw(st.integers(1, 3)),
        H_cycles=draw(st.integers(1, 3)),
        L_cycles=draw(st.integers(1, 3)),
        h_update_period=draw(st.none() | st.integers(1, 11)),
        expansion=draw(st.floats(0.5, 5)),
        mlp_multiple=draw(st.sampled_from([1, 8, 32])),
        puzzle_emb_ndim=draw(st.none() | st.just(0) | st.integers(1, 3 * hidden_size)),
        pos_encodings=draw(st.sampled_from(POS_ENCODINGS)),
        halt_max_steps=draw(st.integers(1, 3)),
        q_continue=draw(st.booleans()),
        gradient_L_steps=draw(st.integers(1, 10)),
        loss_type=draw(st.sampled_from(LOSS_TYPES)),
        forward_dtype=draw(st.sampled_from(["float32", "bfloat16"])),
        vocab_size=draw(st.integers(2, 12)),
        seq_len=draw(st.integers(1, 9)),
        num_puzzle_identifiers=draw(st.integers(1, 4)),
    )


@st.composite
def text_configs(draw: st.DrawFn) -> TextHRMConfig:
    """Small valid configs that reach every branch of the formulas but `gradient_checkpointing`, whose
    recomputation torch's counter would count."""
    n_head = draw(st.integers(1, 3))
    return TextHRMConfig(
        n_embd=n_head * draw(st.sampled_from([4, 6, 8])),
        n_head=n_head,
        n_layers=draw(st.integers(1, 3)),
        d_ff=draw(st.none() | st.integers(2, 40)),
        halt_max_steps=draw(st.integers(1, 5)),
        h_update_period=draw(st.integers(1, 6)),
        dropout=draw(st.sampled_from([0.0, 0.2])),
        forward_dtype=draw(st.sampled_from(["float32", "bfloat16"])),
        vocab_size=draw(st.integers(2, 12)),
        seq_len=draw(st.integers(2, 9)),
    )


@dataclass(frozen=True, kw_only=True)
class FamilyCase:
    """One family, and values to try it with."""

    family: Family
    numbers: Strategies
    """Of each number of the config: values within its rule and beyond."""
    singles: Strategies
    """The same of what is no number: words, flags, and None for a number."""
    configs: st.SearchStrategy[Any]
    """Small valid configs."""
    least_width: int = 1
    every_part_trains: Mapping[str, Any] = field(default_factory=dict)
    """Fields under which each parameter gets a gradient in each step."""

    def random_batch(self, config: Any, num_sequences: int) -> TensorBatch:
        """Random tokens, drawn from torch's global generator."""
        shape = (num_sequences, config.seq_len)
        names = ("inputs", "labels")
        batch = {name: torch.randint(config.vocab_size, shape, dtype=torch.int32) for name in names}
        if self.family.name == "puzzle":
            most, shape_of_ids = config.num_puzzle_identifiers, (num_sequences,)
            batch["puzzle_identifiers"] = torch.randint(most, shape_of_ids, dtype=torch.int32)
        return batch


CASES = {
    "puzzle": FamilyCase(
        family=get_family("puzzle"),
        numbers={
            "hidden_size": st.integers(-1, 40),
            "num_heads": st.integers(-1, 9),
            "H_layers": st.integers(0, 3),
            "L_layers": st.integers(0, 3),
            "H_cycles": st.integers(0, 4),
            "L_cycles": st.integers(0, 4),
            "h_update_period": st.integers(0, 9),
            "expansion": st.sampled_from([-1.0, 0.0, 0.3, 1.0, 1.5, 2.0, 4.0]),
            "mlp_multiple": st.integers(0, 40),
            "puzzle_emb_ndim": st.integers(-1, 60),
            "rms_norm_eps": st.sampled_from([0.0, 1e-6, 1e-5]),
            "rope_theta": st.sampled_from([-1.0, 100.0, 1e4]),
            "halt_max_steps": st.integers(0, 4),
            "halt_exploration_prob": st.sampled_from([-0.1, 0.0, 0.5, 1.0, 1.1]),
            "gradient_L_steps": st.integers(0, 6),
            "vocab_size": st.integers(0, 12),
            "seq_len": st.integers(0, 36),
            "num_puzzle_identifiers": st.integers(0, 3),
        },
        singles={
            "h_update_period": st.none(),
            "puzzle_emb_ndim": st.none(),
            "pos_encodings": st.sampled_from(["rope", "learned", "sinus"]),
            "q_continue": st.booleans(),
            "loss_type": st.sampled_from(["stablemax_cross_entropy", "softmax_cross_entropy", "mse"]),
            "forward_dtype": st.sampled_from(["float32", "bfloat16", "int8"]),
        },
        configs=puzzle_configs(),
    ),
    "text": FamilyCase(
        family=get_family("text"),
        numbers={
            "n_embd": st.integers(-1, 40),
            "n_head": st.integers(-1, 9),
            "n_layers": st.integers(0, 3),
            "d_ff": st.integers(0, 30),
            "halt_max_steps": st.integers(0, 5),
            "h_update_period": st.integers(0, 7),
            "halt_bias_init": st.sampled_from([-2.2, 0.0]),
            "halt_epsilon": st.sampled_from([0.0, 0.01, 1.0]),
            "ponder_loss_weight": st.sampled_from([-0.1, 0.0, 0.5]),
            "q_loss_weight": st.sampled_from([-0.1, 0.0, 0.5]),
            "dropout": st.sampled_from([-0.1, 0.0, 0.5, 1.0]),
            "rms_norm_eps": st.sampled_from([0.0, 1e-6]),
            "rope_theta": st.sampled_from([-1.0, 1e4]),
            "vocab_size": st.integers(0, 12),
            "seq_len": st.integers(0, 12),
        },
        singles={
            "d_ff": st.none(),
            "gradient_checkpointing": st.booleans(),
            "forward_dtype": st.sampled_from(["float32", "bfloat16", "int8"]),
        },
        configs=text_configs(),
        least_width=LEAST_WIDTH,
        every_part_trains={"halt_max_steps": 5, "h_update_period": 2},
    ),
}


@contextmanager
def one_thread() -> Iterator[None]:
    """Models this small are slower on several."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)


def get_weight_copies(model: nn.Module) -> list[Tensor]:
    """What the layers of a model compute with, inside `cast_weights`."""
    layers = (layer for layer in model.modules() if isinstance(layer, CastableLayer))
    return [weight for layer in layers for weight in layer._copies.values()]


def kept_bytes(model: Model, batch: TensorBatch) -> int:
    """Bytes of every storage that autograd saves in one training segment, weights and tables apart."""
    apart = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    saved: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        cast = {copy.untyped_storage().data_ptr() for copy in get_weight_copies(model)}
        if tensor.untyped_storage().data_ptr() not in apart | cast:
            saved[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model.train_segment(model.initial_carry(batch), batch)
    return sum(tensor.untyped_storage().nbytes() for tensor in saved.values())
