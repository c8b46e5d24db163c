"""How counts of text HRMs read in a terminal."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from hrm import config as reader
from hrm.columns import aligned
from hrm.counting import Counts
from hrm.presets import Preset, claimed_preset
from hrm.text import training_time as times
from hrm.text.config import TextHRMConfig
from hrm.text.counting import count, fewest_training_flops
from hrm.text.training_time import memory_verdict, training_time
from hrm.train_config import TrainConfig
from hrm.units import in_bytes, percent, scaled

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
        ("both (what a budget bounds)", f"{counts.params:,}", scaled(counts.params)),
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
    return [(name, f"{n:,}", scaled(n)) for name, n in flops.items()]


def presets_text(presets: Sequence[Preset]) -> str:
    """The presets, smallest first: claims of parameters, memory and time beside what was counted."""
    counted = sorted(((_counts(preset), preset) for preset in presets), key=lambda one: one[0].params)
    head = ("preset", "width/heads/layers", "T/p", "context", "vocabulary", "claimed", "exact", "off by", "on bytes",
            "FLOPs a step", "training bytes", "claimed VRAM", "is it enough")  # fmt: skip
    shapes = aligned([head, *(_shape_row(preset, counts) for counts, preset in counted)], indent="")
    rows = [row for _, preset in counted if (row := _time_row(preset))]
    hours = aligned(
        [("preset", "tokens", "claimed hours", f"hours on {times.DEVICE}", "can that be"), *rows], indent=""
    )
    notes = (
        "FLOPs and bytes: an optimizer step of the preset's own batches on full steps T, bfloat16 forward; bytes",
        "as autograd keeps them on a CPU, on one GPU about the same",
        f"hours: the documented epochs over the documented share of C4 ({scaled(times.C4_TOKENS)} tokens, as arXiv "
        "2104.08758 counts), counted FLOPs, all tokens halting at once to",
        f"none, {times.DEVICE_FLOPS_PER_SECOND / 1e12:.0f} TFLOP/s at {times.UTILISATION:.0%} utilisation (assumed)",
    )
    return "\n".join([shapes, "", hours, "", *notes])


def _model(preset: Preset) -> TextHRMConfig:
    return reader.build(TextHRMConfig, preset.model, "model")


def _counts(preset: Preset) -> Counts:
    train = reader.build(TrainConfig, preset.train, "train")
    return count(_model(preset), train.batch_size, train)


def _shape_row(preset: Preset, counts: Counts) -> tuple[str, ...]:
    model, documented = _model(preset), preset.documented
    vram = documented.vram_gb if documented else None
    on_bytes = count(dataclasses.replace(model, vocab_size=BYTE_VOCABULARY)).params
    return (
        preset.name, f"{model.n_embd}/{model.n_head}/{model.n_layers}",
        f"{model.halt_max_steps}/{model.effective_period}", str(model.seq_len), str(model.vocab_size),
        preset.claim or "-", f"{counts.params:,}", _off_by(preset, counts.params), scaled(on_bytes),
        scaled(counts.flops_per_step), in_bytes(counts.total_bytes), f"{vram} GB" if vram else "-",
        memory_verdict(counts.total_bytes, vram) if vram else "-",
    )  # fmt: skip


def _time_row(preset: Preset) -> tuple[str, ...] | None:
    documented = preset.documented
    time = training_time(_model(preset), documented) if documented else None
    if documented is None or time is None:
        return None
    hours = f"{time.least_hours:,.3g} to {time.most_hours:,.3g}"
    return preset.name, scaled(time.tokens), str(documented.training_hours), hours, time.verdict


def _weighing(model: TextHRMConfig) -> tuple[int, ...]:
    """All that decides the number of parameters: heads, steps and context do not."""
    return model.n_embd, model.n_layers, model.inner_size, model.vocab_size


def _off_by(preset: Preset, params: int) -> str:
    return percent(preset.claim_error(params)) if preset.claim else "-"
