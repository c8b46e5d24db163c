"""The puzzle HRM: the recurrent network under adaptive computation time, with its losses and optimizers.

Shapes: B sequences, P puzzle positions followed by S cells, H width, V vocabulary.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from hrm.config.errors import ConfigError
from hrm.config.train_config import TrainConfig
from hrm.models.base import Carry, Model, SegmentAnswer, TensorBatch
from hrm.models.layers import cast_weights
from hrm.models.puzzle.checkpoint_names import to_official
from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.puzzle.losses import TOKEN_LOSSES, Correctness, sum_answer_metrics
from hrm.models.puzzle.recurrent_network import InnerHRM, State
from hrm.training.optimizers import AdamATan2, SparseSignSGD

Outputs = dict[str, Tensor]
"""`logits` [B, S, V] in the type of the forward pass; `q_halt_logits`, `q_continue_logits` and, in training
with `q_continue`, `target_q_continue`, float32 [B]."""


class PuzzleHRM(Model):
    """The official HRM with ACT (arXiv 2506.21734).

    Weights are initialized from torch's global generator. The carry is `{"z_H", "z_L": [B, P + S, H],
    "steps": int32 [B], "halted": bool [B], "data": the batch that each slot works on}`.
    """

    def __init__(self, config: PuzzleHRMConfig) -> None:
        super().__init__()
        self.config = config
        self.inner = InnerHRM(config)
        self.token_loss = TOKEN_LOSSES[config.loss_type]

    def initial_carry(self, batch: TensorBatch) -> Carry:
        """See `Model`. States are zeros, never read: every slot starts halted and is reset at once."""
        num_sequences, seq_len = batch["inputs"].shape
        device = batch["inputs"].device
        shape = (num_sequences, self.config.puzzle_emb_len + seq_len, self.config.hidden_size)
        return {
            "z_H": torch.zeros(shape, dtype=self.inner.dtype, device=device),
            "z_L": torch.zeros(shape, dtype=self.inner.dtype, device=device),
            "steps": torch.zeros(num_sequences, dtype=torch.int32, device=device),
            "halted": torch.ones(num_sequences, dtype=torch.bool, device=device),
            "data": {name: torch.zeros_like(value) for name, value in batch.items()},
        }

    def train_segment(
        self, carry: Carry, batch: TensorBatch, generator: torch.Generator | None = None
    ) -> tuple[Carry, Tensor, dict[str, Tensor]]:
        """See `Model`. Metrics ending in `loss` are sums over all sequences; the others over halted ones:
        `count`, `cell_accuracy`, `exact_accuracy`, `q_halt_accuracy`, `steps`."""
        carry, outputs = self.forward_segment(carry, batch, generator)
        loss, metrics = self.compute_loss(carry, outputs)
        return carry, loss, metrics

    def forward_segment(
        self, carry: Carry, batch: TensorBatch, generator: torch.Generator | None = None
    ) -> tuple[Carry, Outputs]:
        """Run one training segment without its loss; return the new carry, detached, and the outputs.

        With `q_continue` and `halt_max_steps` above 1, a second forward of the segment without gradient gives
        the target of continuing: all N L-steps and H updates, and the Q head; the cells' head is not run.
        """
        config, inner = self.config, self.inner
        data = refill(carry["data"], batch, carry["halted"])
        steps = torch.where(carry["halted"], 0, carry["steps"]) + 1
        with cast_weights(inner, inner.dtype):
            embedding = inner.embed(data["inputs"], data["puzzle_identifiers"])
            state = inner.reset((carry["z_H"], carry["z_L"]), carry["halted"])
            z_H, z_L = inner.run_segment(state, embedding, config.gradient_L_steps)
            outputs = self._run_heads(z_H)
            state = (z_H.detach(), z_L.detach())
            with torch.no_grad():
                q_halt, q_continue = outputs["q_halt_logits"], outputs["q_continue_logits"]
                halted = decide_halting(q_halt, q_continue, steps, config, generator)
                if config.q_continue and config.halt_max_steps > 1:
                    next_q = inner.compute_q_logits(inner.run_segment(state, embedding)[0])
                    outputs["target_q_continue"] = compute_continue_target(
                        *next_q, last=steps >= config.halt_max_steps
                    )
        new_carry = {"z_H": state[0], "z_L": state[1], "steps": steps, "halted": halted, "data": data}
        return new_carry, outputs

    def _run_heads(self, z_H: Tensor) -> Outputs:
        # The order of the heads decides the order in which their gradients are added up: keep it.
        q_halt, q_continue = self.inner.compute_q_logits(z_H)
        logits = self.inner.compute_logits(z_H)
        return {"logits": logits, "q_halt_logits": q_halt, "q_continue_logits": q_continue}

    def compute_loss(self, carry: Carry, outputs: Outputs) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the sum over sequences of (mean loss of a label + 0.5 (halt + continue)), and the metrics."""
        labels, q_halt = carry["data"]["labels"], outputs["q_halt_logits"]
        correct = Correctness.compare(outputs["logits"], labels)
        lm_loss = self._compute_label_loss(outputs["logits"], labels, correct)
        q_loss = q_halt_loss = F.binary_cross_entropy_with_logits(
            q_halt, correct.exact.float(), reduction="sum"
        )
        metrics = sum_answer_metrics(correct, q_halt, carry["halted"])
        metrics["steps"] = torch.where(carry["halted"] & (correct.num_labels > 0), carry["steps"], 0).sum()
        if "target_q_continue" in outputs:
            q_continue_loss = F.binary_cross_entropy_with_logits(
                outputs["q_continue_logits"], outputs["target_q_continue"], reduction="sum"
            )
            metrics["q_continue_loss"] = q_continue_loss.detach()
            q_loss = q_halt_loss + q_continue_loss
        loss = lm_loss + 0.5 * q_loss
        metrics |= {"loss": loss.detach(), "lm_loss": lm_loss.detach(), "q_halt_loss": q_halt_loss.detach()}
        return loss, metrics

    def _compute_label_loss(self, logits: Tensor, labels: Tensor, correct: Correctness) -> Tensor:
        return (self.token_loss(logits, labels).sum(-1) / correct.num_labels.clamp(min=1)).sum()

    @torch.no_grad()
    def evaluate_batch(self, batch: TensorBatch, blank_token: int | None = None) -> dict[str, Tensor]:
        """See `Model`: after `halt_max_steps` segments. Sequences without labels (padding of a batch) are not
        counted.

        Returns:
            `count` sequences, `exact_accuracy`, `cell_accuracy` (mean over a sequence's labels), `loss` (mean
            over a sequence's labels), `q_halt_accuracy`; and, with a `blank_token`, `blank_accuracy` (mean
            over a sequence's blank cells). Each is a sum over sequences.
        """
        outputs = self.evaluate_outputs(batch)
        labels = batch["labels"]
        correct = Correctness.compare(outputs["logits"], labels)
        metrics = sum_answer_metrics(correct, outputs["q_halt_logits"], torch.ones_like(correct.exact))
        metrics["loss"] = self._compute_label_loss(outputs["logits"], labels, correct)
        if blank_token is not None:
            accuracy = correct.measure_accuracy(batch["inputs"] == blank_token)
            metrics["blank_accuracy"] = torch.where(correct.num_labels > 0, accuracy, 0).sum()
        return metrics

    @torch.no_grad()
    def evaluate_outputs(self, batch: TensorBatch) -> Outputs:
        """Return the outputs of segment `halt_max_steps`, without halting before; the heads run once."""
        with cast_weights(self.inner, self.inner.dtype):
            z_H, _ = deque(
                self._run_evaluation(batch), maxlen=1
            ).pop()  # the last state, without keeping the others
            return self._run_heads(z_H)

    @torch.no_grad()
    def answer_segments(self, batch: TensorBatch) -> list[SegmentAnswer]:
        """See `Model`: after each of `halt_max_steps` segments; the last is what `evaluate_batch` measures."""
        answers = []
        with cast_weights(self.inner, self.inner.dtype):
            for z_H, _ in self._run_evaluation(batch):
                outputs = self._run_heads(z_H)
                confidence, tokens = outputs["logits"].float().softmax(-1).max(-1)
                answers.append(SegmentAnswer(tokens, confidence, outputs["q_halt_logits"].sigmoid()))
        return answers

    def _run_evaluation(self, batch: TensorBatch) -> Iterator[State]:
        """Yield the state after each of `halt_max_steps` segments, without halting before."""
        inner, carry = self.inner, self.initial_carry(batch)
        embedding = inner.embed(batch["inputs"], batch["puzzle_identifiers"])
        state = inner.reset((carry["z_H"], carry["z_L"]), carry["halted"])
        for _ in range(self.config.halt_max_steps):
            state = inner.run_segment(state, embedding)
            yield state

    def rename_to_official(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See `Model`: as sapientinc/HRM saves and evaluates them."""
        return to_official(state)

    def build_optimizers(self, train: TrainConfig) -> list[torch.optim.Optimizer]:
        """See `Model`: SignSGD on the puzzle embedding, if there is one, then AdamATan2 on the rest.

        Raises:
            ConfigError: batches are to be accumulated, but each carries its own unfinished sequences.
        """
        if train.accumulation > 1:
            rule = "must be 1 for a puzzle HRM"
            raise ConfigError("train.accumulation", train.accumulation, rule, "Raise train.batch_size.")
        dense = AdamATan2(self.parameters(), train.lr, (train.beta1, train.beta2), train.weight_decay)
        table = self.inner.puzzle_emb
        if table is None:
            return [dense]
        return [SparseSignSGD(table, train.puzzle_emb_lr, train.puzzle_emb_weight_decay), dense]


def refill(data: TensorBatch, batch: TensorBatch, halted: Tensor) -> TensorBatch:
    """Give halted slots (bool [B]) their sequences from the fresh `batch`; the others keep theirs."""
    return {
        name: torch.where(halted.view(-1, *[1] * (fresh.ndim - 1)), fresh, data[name])
        for name, fresh in batch.items()
    }


def decide_halting(
    q_halt: Tensor,
    q_continue: Tensor,
    steps: Tensor,
    config: PuzzleHRMConfig,
    generator: torch.Generator | None,
) -> Tensor:
    """Decide which sequences halt after this training segment.

    A sequence halts at `halt_max_steps`, or before when halting is worth more than continuing (without
    `config.q_continue`: when its own logit is positive), but not below an explored minimum: with probability
    `halt_exploration_prob` a number of segments in 2..`halt_max_steps`, drawn again at each segment.

    Args:
        q_halt, q_continue: logits, float32 [B].
        steps: segments made, this one included, integers [B].
        config: the model's.
        generator: source of exploration.

    Returns:
        bool [B].
    """
    most, device = config.halt_max_steps, q_halt.device
    last = steps >= most
    if most == 1:
        return last
    wants_to = q_halt > q_continue if config.q_continue else q_halt > 0
    if config.halt_exploration_prob > 0:
        explores = torch.rand(q_halt.shape, generator=generator, device=device) < config.halt_exploration_prob
        minimum = torch.randint(
            2, most + 1, steps.shape, generator=generator, dtype=steps.dtype, device=device
        )
        wants_to = wants_to & (steps >= explores * minimum)
    return last | wants_to


def compute_continue_target(next_q_halt: Tensor, next_q_continue: Tensor, last: Tensor) -> Tensor:
    """Return the target value of continuing as a probability [B]: the best choice one segment later.

    Sequences on their `last` segment can only halt. Q-learning without replay, as in arXiv 2407.04811.
    """
    return torch.where(last, next_q_halt, torch.maximum(next_q_halt, next_q_continue)).sigmoid()
