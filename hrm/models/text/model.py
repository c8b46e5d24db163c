"""The causal text HRM: embedding, layers of H and L, tied head, its loss, its metrics and its optimizer.

Shapes: B sequences, S tokens, d width, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrm.config.train_config import TrainConfig
from hrm.data.base import IGNORED_LABEL
from hrm.models.base import COUNT, LOSS_COUNT, Carry, Metrics, Model, TensorBatch
from hrm.models.layers import Embedding, RotaryEmbedding, cast_weights, softmax_cross_entropy
from hrm.models.text.config import TextHRMConfig
from hrm.models.text.counting import count_executed_eval_flops, count_executed_training_flops
from hrm.models.text.halting import HaltingTrace, compute_ponder_loss, compute_q_loss
from hrm.models.text.layers import (
    Dropout,
    ForwardContext,
    KeyValueCache,
    Layer,
    RMSNorm,
    build_attention_mask,
)

EMBEDDING_STD = 0.02
"""Scaled up to 1 at the input, and down at the output so that the first logits are small at any width."""
NUM_BYTES = "bytes"
"""The sum that holds the bytes of text of the predicted tokens."""
_LARGEST_EXPONENT = 700.0
"""exp of more overflows float64."""


class TextHRM(Model):
    """A causal language model of HRM layers. Nothing is carried from one step to the next.

    Weights are initialized from torch's global generator.
    """

    def __init__(self, config: TextHRMConfig) -> None:
        super().__init__()
        self.config = config
        self.dtype: torch.dtype = getattr(torch, config.forward_dtype)
        self.embed_tokens = Embedding(config.vocab_size, config.n_embd, EMBEDDING_STD)
        self.rotary_emb = RotaryEmbedding(config.head_size, config.seq_len, config.rope_theta)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.n_layers))
        self.final_norm = RMSNorm(config.n_embd, config.rms_norm_eps)

    def forward(
        self,
        inputs: Tensor,
        real: Tensor | None = None,
        cache: KeyValueCache | None = None,
        dropout: Dropout | None = None,
    ) -> tuple[Tensor, list[HaltingTrace]]:
        """Return logits [B, S, V], each token's of the next one, and how tokens halted in each layer.

        Args:
            inputs: tokens [B, S]; with those in the cache at most `seq_len`.
            real: which of them are not padding, bool [B, S]; None is all. Padding on either side changes no
                logit of a real token.
            cache: of the tokens before, extended by these.
            dropout: None is off.
        """
        context = self._build_context(inputs, real, cache, dropout or Dropout())
        traces = []
        with cast_weights(self, self.dtype):
            x = self.embed_tokens(inputs) / EMBEDDING_STD
            for layer in self.layers:
                x, trace = layer(x, context)
                traces.append(trace)
            x = self.final_norm(x) / (EMBEDDING_STD * self.config.n_embd)
            return F.linear(x, self.embed_tokens.get_weight("embedding_weight")), traces

    def _build_context(
        self, inputs: Tensor, real: Tensor | None, cache: KeyValueCache | None, dropout: Dropout
    ) -> ForwardContext:
        num_new = inputs.shape[1]
        cos, sin = self.rotary_emb()
        if real is None and cache is None:
            return ForwardContext((cos[:num_new], sin[:num_new]), dropout=dropout)
        if real is None:
            real = torch.ones(inputs.shape, dtype=torch.bool, device=inputs.device)
        if cache is not None:
            real = cache.begin_pass(real)
        # Padding is not counted; padding before all real tokens is at 0.
        positions = (real.cumsum(1) - 1).clamp(min=0)[:, -num_new:]
        mask = build_attention_mask(real, num_new)
        return ForwardContext((cos[positions], sin[positions]), mask, dropout, cache)

    def initial_carry(self, batch: TensorBatch) -> Carry:
        """See `Model`: nothing."""
        return {}

    def get_loss_weight(self, batch: TensorBatch) -> Tensor:
        """See `Model`: the number of tokens to predict."""
        return (batch["labels"] != IGNORED_LABEL).sum().clamp(min=1)

    def train_segment(
        self, carry: Carry, batch: TensorBatch, generator: torch.Generator | None = None
    ) -> tuple[Carry, Tensor, dict[str, Tensor]]:
        """See `Model`. The loss and all metrics are sums over the tokens to predict: `loss`, `lm_loss` (nats),
        `ponder_loss`, `q_loss`, `accuracy`, and `steps` made (mean over layers)."""
        config, labels = self.config, batch["labels"]
        logits, traces = self(batch["inputs"], dropout=Dropout(config.dropout, generator))
        counted = labels != IGNORED_LABEL
        nats = softmax_cross_entropy(logits, labels)
        ponder = (compute_ponder_loss(traces, config) * counted).sum()
        q = (compute_q_loss(traces, nats, config) * counted).sum()
        loss = nats.sum() + config.ponder_loss_weight * ponder + config.q_loss_weight * q
        self.executed_flops = count_executed_training_flops(
            config, len(labels), labels.shape[1], [trace.num_updates for trace in traces]
        )
        metrics = {
            "lm_loss": nats.sum().detach(),
            "ponder_loss": ponder.detach(),
            "q_loss": q.detach(),
            LOSS_COUNT: counted.sum(),
            **_sum_token_metrics(logits, labels, traces),
        }
        return carry, loss, metrics

    @torch.no_grad()
    def evaluate_batch(self, batch: TensorBatch, blank_token: int | None = None) -> dict[str, Tensor]:
        """See `Model`. Sums over the tokens to predict: `count`, `loss` (nats, the language loss alone),
        `accuracy`, `steps`; and `bytes` of text that they stand for, where the batch has them."""
        labels = batch["labels"]
        logits, traces = self(batch["inputs"])
        self.executed_flops = count_executed_eval_flops(
            self.config, len(labels), labels.shape[1], [trace.num_updates for trace in traces]
        )
        nats = softmax_cross_entropy(logits, labels)
        sums = {"loss": nats.sum(), **_sum_token_metrics(logits, labels, traces)}
        if "label_bytes" in batch:
            sums[NUM_BYTES] = batch["label_bytes"].sum()
        return sums

    def compute_metrics(self, totals: Mapping[str, float]) -> Metrics:
        """See `Model`. `loss` in nats per token, `perplexity` its exponential, `accuracy`, `steps`, and
        `bits_per_byte`, the sum of nats over ln 2 and over the sum of bytes."""
        means = super().compute_metrics({name: total for name, total in totals.items() if name != NUM_BYTES})
        loss = means.get("loss")
        if loss is not None:
            means["perplexity"] = math.exp(loss) if loss < _LARGEST_EXPONENT else math.inf
            num_bytes = totals.get(NUM_BYTES)
            if num_bytes is not None:
                means["bits_per_byte"] = totals["loss"] / math.log(2) / num_bytes if num_bytes else None
        return means

    def build_optimizers(self, train: TrainConfig) -> list[torch.optim.Optimizer]:
        """See `Model`: AdamW; matrices decay, norm weights and biases do not."""
        parameters = list(self.parameters())
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": train.weight_decay},
            {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
        ]
        for group in groups:
            group["peak_lr"] = train.lr
        return [torch.optim.AdamW(groups, lr=train.lr, betas=(train.beta1, train.beta2))]


def _sum_token_metrics(logits: Tensor, labels: Tensor, traces: list[HaltingTrace]) -> dict[str, Tensor]:
    counted = labels != IGNORED_LABEL
    steps = torch.stack([trace.steps for trace in traces]).float().mean(0)
    return {
        COUNT: counted.sum(),
        "accuracy": (counted & (logits.argmax(-1) == labels)).sum(),
        "steps": (steps * counted).sum(),
    }
