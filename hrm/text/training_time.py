"""How long a documented training takes, from counted FLOPs, the data it names and a device's rate."""

from __future__ import annotations

from dataclasses import dataclass

from hrm.presets import Documented
from hrm.text.config import TextHRMConfig
from hrm.text.counting import count, fewest_training_flops

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
