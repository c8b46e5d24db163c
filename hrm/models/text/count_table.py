"""How counts of text HRMs read in a terminal."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from hrm.config.command_line import align_columns
from hrm.config.presets import Documented, Preset, claimed_preset
from hrm.config.schema import build_config
from hrm.config.train_config import TrainConfig
from hrm.models.counting import Counts
from hrm.models.text.config import TextHRMConfig
from hrm.models.text.counting import count, fewest_training_flops
from hrm.system.units import format_bytes, format_percent, format_scaled

C4_TOKENS = 156e9
"""Tokens of allenai/c4, English (arXiv 2104.08758, table 1). They are spaCy's, of which a word is one: T5's pieces
are more, so that hours by this figure are too few rather than too many."""
DEVICE = "one A100"
DEVICE_FLOPS_PER_SECOND = 312e12
"""bfloat16 matrix products of an NVIDIA A100 at most, by its data sheet."""
UTILISATION = 0.4
"""Share of that rate taken for reached: an assumption, which large dense models come near."""


@dataclass(frozen=True)
class TrainingTime:
    """Hours on `DEVICE` at `UTILISATION`.

    Args:
        tokens: seen in training.
        least_hours: if every token halts as early as it may.
        most_hours: if in each layer some token goes on to the last step.
        claimed: hours by the document, the least and the most.
    """

    tokens: float
    least_hours: float
    most_hours: float
    claimed: tuple[float, float]

    @property
    def verdict(self) -> str:
        """Whether the claim can hold, in a few words."""
        low, high = self.claimed
        if self.least_hours > high:
            return f"no: at least {self.least_hours / high:,.0f} times that"
        if self.most_hours < low:
            return f"yes: at most {self.most_hours:.2g} hours"
        return "plausible"


def training_time(model: TextHRMConfig, documented: Documented) -> TrainingTime | None:
    """The time of the documented epochs over the documented share of C4; None where no time is claimed."""
    if documented.training_hours is None:
        return None
    low, _, high = documented.training_hours.partition("-")
    tokens = C4_TOKENS * documented.subset_percent / 100 * documented.epochs
    sequences = tokens / model.seq_len
    seconds = [
        sequences * flops / (DEVICE_FLOPS_PER_SECOND * UTILISATION)
        for flops in (fewest_training_flops(model, 1), count(model).flops_per_step)
    ]
    return TrainingTime(tokens, seconds[0] / 3600, seconds[1] / 3600, (float(low), float(high or low)))


def memory_verdict(total_bytes: int, claimed_gb: str) -> str:
    """What a claim of GPU memory, such as `8`, `2-4` or `16+`, is worth beside an estimate in bytes."""
    needed = total_bytes / 1e9
    if claimed_gb.endswith("+"):
        return f"a floor: it takes {needed:.0f} GB"
    most = float(claimed_gb.rpartition("-")[2])
    return "yes" if needed <= most else f"no: it takes {needed:.0f} GB"


BYTE_VOCABULARY = 258
"""Of the text task's own byte tokenizer."""


def model_text(model: TextHRMConfig) -> str:
    """The shape of a model in two lines."""
    return (
        f"width {model.n_embd}, {model.n_head} heads, {model.n_layers} layers of an H and an L block, inner width "
        f"{model.inner_size}, up to {model.halt_max_steps} steps a layer, H update every {model.effective_period}\n"
        f"vocabulary {model.vocab_size} (embedding and head are one), context {model.seq_len} tokens"
    )


def parameter_rows(model: TextHRMConfig, counts: Counts) -> list[tuple[str, str, str]]:
    """Parameters, with the document's claim where it makes one for this shape."""
    embedding = model.vocab_size * model.n_embd
    claimed = claimed_preset(model, "text", _weighing)
    verdict = _off_by(claimed, counts.params) if claimed else ""
    return [
        ("embedding and head", f"{embedding:,}", ""),
        ("layers and last norm", f"{counts.params - embedding:,}", ""),
        ("both (what a budget bounds)", f"{counts.params:,}", format_scaled(counts.params)),
        (
            "the document's claim",
            str(claimed.claim) if claimed else "none",
            f"exact is {verdict}" if claimed else "",
        ),
    ]


def flops_rows(model: TextHRMConfig, counts: Counts, train: TrainConfig) -> list[tuple[str, str, str]]:
    """FLOPs of a training step and of an evaluation, by how soon tokens halt."""
    least = train.accumulation * fewest_training_flops(model, train.batch_size)
    flops = {
        "training step, some token at step T": counts.flops_per_step,
        "training step, all halt at once": least,
        "evaluation, some token at step T": counts.eval_flops_per_batch,
    }
    return [(name, f"{n:,}", format_scaled(n)) for name, n in flops.items()]


def presets_text(presets: Sequence[Preset]) -> str:
    """The presets, smallest first: claims of parameters, memory and time beside what was counted."""
    counted = sorted(((_counts(preset), preset) for preset in presets), key=lambda one: one[0].params)
    head = ("preset", "width/heads/layers", "T/p", "context", "vocabulary", "claimed", "exact", "off by", "on bytes",
            "FLOPs a step", "training bytes", "claimed VRAM", "is it enough")  # fmt: skip
    shapes = align_columns([head, *(_shape_row(preset, counts) for counts, preset in counted)], indent="")
    rows = [row for _, preset in counted if (row := _time_row(preset))]
    hours = align_columns(
        [("preset", "tokens", "claimed hours", f"hours on {DEVICE}", "can that be"), *rows], indent=""
    )
    notes = (
        "FLOPs and bytes: an optimizer step of the preset's own batches on full steps T, bfloat16 forward; bytes",
        "as autograd keeps them on a CPU, on one GPU about the same",
        f"hours: the documented epochs over the documented share of C4 ({format_scaled(C4_TOKENS)} tokens, as arXiv "
        "2104.08758 counts), counted FLOPs, all tokens halting at once to",
        f"none, {DEVICE_FLOPS_PER_SECOND / 1e12:.0f} TFLOP/s at {UTILISATION:.0%} utilisation (assumed)",
    )
    return "\n".join([shapes, "", hours, "", *notes])


def _model(preset: Preset) -> TextHRMConfig:
    return build_config(TextHRMConfig, preset.model, "model")


def _counts(preset: Preset) -> Counts:
    train = build_config(TrainConfig, preset.train, "train")
    return count(_model(preset), train.batch_size, train)


def _shape_row(preset: Preset, counts: Counts) -> tuple[str, ...]:
    model, documented = _model(preset), preset.documented
    vram = documented.vram_gb if documented else None
    on_bytes = count(dataclasses.replace(model, vocab_size=BYTE_VOCABULARY)).params
    return (
        preset.name, f"{model.n_embd}/{model.n_head}/{model.n_layers}",
        f"{model.halt_max_steps}/{model.effective_period}", str(model.seq_len), str(model.vocab_size),
        preset.claim or "-", f"{counts.params:,}", _off_by(preset, counts.params), format_scaled(on_bytes),
        format_scaled(counts.flops_per_step), format_bytes(counts.total_bytes), f"{vram} GB" if vram else "-",
        memory_verdict(counts.total_bytes, vram) if vram else "-",
    )  # fmt: skip


def _time_row(preset: Preset) -> tuple[str, ...] | None:
    documented = preset.documented
    time = training_time(_model(preset), documented) if documented else None
    if documented is None or time is None:
        return None
    hours = f"{time.least_hours:,.3g} to {time.most_hours:,.3g}"
    return preset.name, format_scaled(time.tokens), str(documented.training_hours), hours, time.verdict


def _weighing(model: TextHRMConfig) -> tuple[int, ...]:
    """All that decides the number of parameters: heads, steps and context do not."""
    return model.n_embd, model.n_layers, model.inner_size, model.vocab_size


def _off_by(preset: Preset, params: int) -> str:
    return format_percent(preset.claim_error(params)) if preset.claim else "-"
