"""What a model makes while it runs follows the device of its input, on a device that only knows shapes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hrm.config.train_config import TrainConfig
from hrm.models.base import RunningMeans
from hrm.models.registry import get_family
from hrm.training.optimizers import EMA
from hrm.training.trainer import DivergenceDetector

PUZZLE = {"hidden_size": 16, "num_heads": 2, "H_layers": 1, "L_layers": 1, "halt_max_steps": 3, "seq_len": 6}
TEXT = {"n_embd": 16, "n_head": 2, "n_layers": 2, "seq_len": 6, "vocab_size": 11}
# Where tokens may halt before the end, the data decide when to stop, and this device has none.
TEXT |= {"halt_max_steps": 3, "h_update_period": 3}


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("puzzle", PUZZLE),
        ("puzzle", PUZZLE | {"pos_encodings": "learned", "puzzle_emb_ndim": 20, "gradient_L_steps": 3}),
        ("puzzle", PUZZLE | {"loss_type": "softmax_cross_entropy", "puzzle_emb_ndim": 0}),
        ("text", TEXT),
    ],
)
def test_nothing_is_made_on_the_cpu(name: str, fields: dict[str, Any]) -> None:
    kind, train = get_family(name), TrainConfig(ema=0.9)
    config = kind.config_class(**fields)
    with torch.device("meta"):
        model = kind.build(config)
        batch = {key: torch.zeros(4, config.seq_len, dtype=torch.int32) for key in ("inputs", "labels")}
        if name == "puzzle":
            batch["puzzle_identifiers"] = torch.zeros(4, dtype=torch.int32)
    optimizers, means, ema, watch = (
        model.build_optimizers(train),
        RunningMeans(4),
        EMA(model, 0.9),
        DivergenceDetector(model),
    )
    carry = model.initial_carry(batch)
    for step in (1, 2):
        carry, loss, metrics = model.train_segment(carry, batch)
        watch.watch(loss.detach(), step)
        (loss / model.get_loss_weight(batch)).backward()
        means.add(metrics)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        ema.update()
    with ema.use_averages():
        made = {"loss": loss, "watch": watch.bad_step, **model.evaluate_batch(batch, 1)}
        for number, answer in enumerate(model.answer_segments(batch)):
            made |= {f"{number} {key}": value for key, value in vars(answer).items()}
    made |= {key: value for key, value in [*metrics.items(), *carry.items()] if key != "data"}
    assert {key: value.device.type for key, value in made.items()} == dict.fromkeys(made, "meta")
    assert {t.dtype for t in made.values()} <= {
        torch.float32,
        torch.bfloat16,
        torch.int32,
        torch.int64,
        torch.bool,
    }
