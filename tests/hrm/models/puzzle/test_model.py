"""The whole model: training segments, evaluation, every option on and off."""

from typing import Any

import pytest
import torch
from torch import Tensor

from hrm.config.train_config import TrainConfig
from hrm.data.base import IGNORED_LABEL
from hrm.models.base import TensorBatch
from hrm.models.puzzle.model import PuzzleHRM
from hrm.training.optimizers import AdamATan2, SparseSignSGD
from tests.hrm.models.puzzle import conftest

BLANK = 1


def small_model(seed: int = 0, **fields: Any) -> PuzzleHRM:
    return conftest.small_model(seed, **({"num_puzzle_identifiers": 3, "halt_max_steps": 3} | fields))


def random_batch(seed: int = 0, size: int = 5) -> TensorBatch:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, 11, (size, 6), generator=generator, dtype=torch.int32)
    inputs = torch.where(torch.rand(size, 6, generator=generator) < 0.5, labels, BLANK)
    ids = torch.randint(0, 3, (size,), generator=generator, dtype=torch.int32)
    return {"inputs": inputs, "labels": labels, "puzzle_identifiers": ids}


def train(model: PuzzleHRM, steps: int, rules: TrainConfig | None = None) -> list[float]:
    optimizers = model.build_optimizers(rules or TrainConfig(lr=1e-2))
    carry, losses = model.initial_carry(random_batch()), []
    for step in range(steps):
        batch = random_batch(step % 2)
        carry, loss, _ = model.train_segment(carry, batch, torch.Generator().manual_seed(step))
        (loss / 5).backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item() / 5)
    return losses


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"puzzle_emb_ndim": 0},
        {"puzzle_emb_ndim": 20, "pos_encodings": "learned"},
        {"q_continue": False},
        {"loss_type": "softmax_cross_entropy"},
        {"gradient_L_steps": 4},
        {"h_update_period": 3},
        {"halt_max_steps": 1},
        {"forward_dtype": "bfloat16"},
        {"forward_dtype": "bfloat16", "gradient_L_steps": 3, "pos_encodings": "learned"},
    ],
    ids=str,
)
def test_every_option_learns_and_evaluates(fields: dict[str, Any]) -> None:
    model = small_model(**fields)
    losses = train(model, 60)
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])
    metrics = model.evaluate_batch(random_batch(), BLANK)
    assert all(value.ndim == 0 and value.isfinite() for value in metrics.values())
    assert metrics["count"] == 5


def test_the_same_seed_trains_the_same() -> None:
    assert train(small_model(), 5) == train(small_model(), 5)
    assert train(small_model(), 2) != train(small_model(seed=1), 2)


def test_a_seed_gives_the_same_weights_in_every_forward_dtype() -> None:
    wide, half = small_model(), small_model(forward_dtype="bfloat16")
    for name, p in wide.named_parameters():
        assert torch.equal(p, half.get_parameter(name))
    assert torch.equal(wide.inner.H_init.bfloat16(), half.inner.H_init)


def test_puzzle_embeddings_are_trained_and_start_at_zero() -> None:
    model = small_model()
    assert model.inner.puzzle_emb is not None
    assert model.inner.puzzle_emb.weights.eq(0).all()
    train(model, 2)
    assert model.inner.puzzle_emb.weights.ne(0).any()


def test_initial_states_are_never_trained() -> None:
    model = small_model()
    before = model.inner.H_init.clone(), model.inner.L_init.clone()
    train(model, 3, TrainConfig(lr=0.1, weight_decay=1.0))
    assert torch.equal(before[0], model.inner.H_init) and torch.equal(before[1], model.inner.L_init)


def test_optimizers_come_in_their_order_with_their_peaks() -> None:
    rules = TrainConfig(lr=0.3, puzzle_emb_lr=0.2, weight_decay=0.4, puzzle_emb_weight_decay=0.5, beta1=0.6)
    sparse, dense = small_model().build_optimizers(rules)
    assert isinstance(sparse, SparseSignSGD) and isinstance(dense, AdamATan2)
    assert (sparse.param_groups[0]["peak_lr"], sparse.param_groups[0]["weight_decay"]) == (0.2, 0.5)
    assert (dense.param_groups[0]["peak_lr"], dense.param_groups[0]["weight_decay"]) == (0.3, 0.4)
    assert dense.param_groups[0]["betas"] == (0.6, 0.95)
    assert [type(o) for o in small_model(puzzle_emb_ndim=0).build_optimizers(rules)] == [AdamATan2]


class CallCount:
    """Counts the calls of a module."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.calls = 0
        module.register_forward_hook(self.note)

    def note(self, *_: object) -> None:
        self.calls += 1


@pytest.mark.parametrize(
    ("fields", "segments"), [({}, 2), ({"q_continue": False}, 1), ({"halt_max_steps": 1}, 1)], ids=str
)
def test_the_second_forward_runs_only_for_the_continue_target(fields: dict[str, Any], segments: int) -> None:
    model = small_model(**fields)
    counts = {name: CallCount(model.inner.get_submodule(name)) for name in ("L_level", "q_head", "lm_head")}
    _, _, metrics = model.train_segment(model.initial_carry(random_batch()), random_batch())
    assert {name: count.calls for name, count in counts.items()} == {
        "L_level": 4 * segments,
        "q_head": segments,
        "lm_head": 1,
    }
    assert ("q_continue_loss" in metrics) == (segments == 2)


def test_halted_slots_start_anew_and_the_others_go_on() -> None:
    model, first, second = small_model(), random_batch(0), random_batch(1)
    carry, _, _ = model.train_segment(model.initial_carry(first), first)
    carry["halted"] = torch.tensor([True, False, True, False, False])
    followed, _ = model.forward_segment(carry, second)
    fresh, _ = model.forward_segment(model.initial_carry(second), second)
    steady, _ = model.forward_segment(carry | {"halted": torch.zeros(5, dtype=torch.bool)}, second)
    for slot, halted in enumerate(carry["halted"].tolist()):
        expected, steps, data = (fresh, 1, second) if halted else (steady, 2, first)
        torch.testing.assert_close(followed["z_H"][slot], expected["z_H"][slot])
        torch.testing.assert_close(followed["z_L"][slot], expected["z_L"][slot])
        assert followed["steps"][slot] == steps
        for name, values in followed["data"].items():
            assert torch.equal(values[slot], data[name][slot])


def test_the_carry_is_nested_dicts_of_detached_tensors() -> None:
    model = small_model()
    carry, loss, _ = model.train_segment(model.initial_carry(random_batch()), random_batch())

    def tensors(value: Any) -> list[Tensor]:
        return [t for v in value.values() for t in tensors(v)] if isinstance(value, dict) else [value]

    assert loss.requires_grad
    assert all(isinstance(t, Tensor) and not t.requires_grad for t in tensors(carry))


def test_loss_of_unlabelled_sequences_is_their_halting_alone() -> None:
    model, batch = small_model(q_continue=False), random_batch()
    batch["labels"] = torch.full_like(batch["labels"], IGNORED_LABEL)
    _, loss, metrics = model.train_segment(model.initial_carry(batch), batch)
    assert metrics["lm_loss"] == 0 and metrics["count"] == 0
    assert loss.item() == pytest.approx(0.5 * metrics["q_halt_loss"].item())


def test_evaluation_equals_segments_without_halting() -> None:
    model, batch = small_model(halt_exploration_prob=0.0), random_batch()
    train(model, 5)
    carry = model.initial_carry(batch)
    for _ in range(3):
        carry, outputs = model.forward_segment(carry, batch)
        carry["halted"] = torch.zeros(5, dtype=torch.bool)
    evaluated = model.evaluate_outputs(batch)
    for name, values in evaluated.items():
        torch.testing.assert_close(values, outputs[name], rtol=1e-4, atol=1e-5)


def test_evaluation_metrics_are_sums_over_sequences() -> None:
    model, batch = small_model(), random_batch(size=4)
    batch["labels"][0, :4] = IGNORED_LABEL
    batch["labels"][3] = IGNORED_LABEL
    train(model, 20)
    logits = model.evaluate_outputs(batch)["logits"]
    answers, labels, inputs = logits.argmax(-1).tolist(), batch["labels"].tolist(), batch["inputs"].tolist()
    cells, blanks, exact = [], [], []
    for answer, label, given in zip(answers[:3], labels[:3], inputs[:3]):
        marks = [(a == b, g == BLANK) for a, b, g in zip(answer, label, given) if b != IGNORED_LABEL]
        cells.append(sum(right for right, _ in marks) / len(marks))
        hidden = [right for right, blank in marks if blank]
        blanks.append(sum(hidden) / len(hidden) if hidden else 1.0)
        exact.append(all(right for right, _ in marks))
    metrics = model.evaluate_batch(batch, BLANK)
    assert metrics["count"] == 3
    assert metrics["cell_accuracy"].item() == pytest.approx(sum(cells))
    assert metrics["blank_accuracy"].item() == pytest.approx(sum(blanks))
    assert metrics["exact_accuracy"].item() == sum(exact)
    assert "blank_accuracy" not in model.evaluate_batch(batch)


def test_evaluation_does_not_depend_on_the_batch() -> None:
    model, batch = small_model(), random_batch()
    train(model, 5)
    whole = model.evaluate_batch(batch, BLANK)
    parts = [model.evaluate_batch({k: v[i : i + 1] for k, v in batch.items()}, BLANK) for i in range(5)]
    for name, value in whole.items():
        assert value.item() == pytest.approx(sum(part[name].item() for part in parts), rel=1e-4)


def test_evaluation_leaves_no_trace() -> None:
    model = small_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    metrics = model.evaluate_batch(random_batch(), BLANK)
    assert not any(value.requires_grad for value in metrics.values())
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.inner.puzzle_emb is not None and model.inner.puzzle_emb.local_weights is None


def test_gradient_depth_changes_gradients_and_not_outputs() -> None:
    gradients = []
    for depth in (1, 2, 4):
        model = small_model(gradient_L_steps=depth)
        _, loss, _ = model.train_segment(model.initial_carry(random_batch()), random_batch())
        loss.backward()
        gradient = model.inner.embed_tokens.embedding_weight.grad
        assert gradient is not None
        gradients.append((loss.item(), gradient))
    assert gradients[0][0] == pytest.approx(gradients[1][0]) == pytest.approx(gradients[2][0])
    assert not torch.allclose(gradients[0][1], gradients[1][1])
    assert not torch.allclose(gradients[1][1], gradients[2][1])
