"""What a trained model answers to a few held-out examples, segment by segment, as plain data for the report."""

from __future__ import annotations

from typing import Any

from hrm.trainer import Trainer

NUM_EXAMPLES = 3
"""The first ones of the validation split: the same for every model, and none of the test split."""


def collect(trainer: Trainer) -> dict[str, Any] | None:
    """Inputs, labels and each segment's answers; None for a model that does not answer by segments.

    Returns:
        `blank_token` and `examples`, each with `inputs`, `labels` and `segments`, each of those with `tokens`,
        `confidence` (the probability of each token, to three digits) and `halting` (the chance of stopping).
    """
    split = trainer.dataset.valid
    segments = trainer.segment_answers(split, NUM_EXAMPLES)
    if not segments:
        return None
    return {
        "blank_token": split.blank_token,
        "examples": [
            {
                "inputs": split.inputs[i].tolist(),
                "labels": split.labels[i].tolist(),
                "segments": [
                    {
                        "tokens": segment.tokens[i].tolist(),
                        "confidence": [round(value, 3) for value in segment.confidence[i].tolist()],
                        "halting": round(float(segment.halting[i]), 3),
                    }
                    for segment in segments
                ],
            }
            for i in range(min(NUM_EXAMPLES, len(split)))
        ],
    }
