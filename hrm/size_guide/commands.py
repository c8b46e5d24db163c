"""What the guide's example commands and overrides really give."""

from __future__ import annotations

from dataclasses import dataclass

from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.puzzle.counting import count
from hrm.size_guide.parts import BATCH_SIZE, Section, Verdict, always, counts, model, table, times
from hrm.system.units import format_scaled


@dataclass(frozen=True)
class Example:
    """An example of the guide: overrides of what its script trains, and the preset that it describes."""

    name: str
    start: str
    overrides: str
    preset: str

    @property
    def config(self) -> PuzzleHRMConfig:
        """What the command gives."""
        pairs = (item.partition("=") for item in self.overrides.split())
        return model(self.start, **{name: int(value) for name, _, value in pairs})


EXAMPLES = (
    Example("Tiny", "tiny_demo", "hidden_size=128 num_heads=4", "tiny_demo"),
    Example("Medium", "tiny_demo", "hidden_size=384 num_heads=6 H_layers=2 L_layers=2", "medium"),
    Example("Base", "small_sudoku", "hidden_size=512 H_layers=4 L_layers=4", "base_default"),
    Example(
        "Small custom", "base_default", "hidden_size=384 num_heads=6 H_layers=3 L_layers=3", "small_custom"
    ),
    Example("Larger", "base_default", "hidden_size=768 num_heads=12 H_layers=6 L_layers=6", "larger_85m"),
    Example("Compute scaling", "base_default", "H_cycles=4 L_cycles=4", "compute_scaled"),
)


def commands() -> Section:
    """The guide's "Example Overrides" and "Command Examples"."""
    rows = []
    for example in EXAMPLES:
        config, c = example.config, count(example.config, BATCH_SIZE)
        is_preset = config == model(example.preset)
        rows.append((
            example.name, f"`{example.start}`", f"`{example.overrides}`", f"{c.params:,}",
            f"{config.H_cycles}×{config.L_cycles}", format_scaled(c.flops_per_step),
            f"`{example.preset}`" if is_preset else f"`{example.preset}` but for its cycles",
        ))  # fmt: skip
    head = ("example", "starts from", "overrides", "parameters", "cycles", "FLOPs a step", "is")
    body = f"""\
Overrides are shown without their `arch.`, which works here, too. The commands for Tiny and Medium run the
Tiny Demo script, the one for Base the Small Sudoku script; the other examples start from the defaults.

{table(head, rows, words=3)}

The Tiny command overrides what the script has already. The Medium command keeps the Tiny Demo's cycles;
the preset `medium` has the official ones. The Base command inherits its heads from Small Sudoku, which happen
to be Base's. `EPOCHS` counts nothing here: a halted slot takes the next puzzle at once, so lengths are in
steps.
"""
    scaled_up, base = counts("compute_scaled"), counts()
    verdicts = [
        Verdict(
            "The commands for Tiny, Medium and Base give these models",
            f"Medium comes with the Tiny Demo's {rows[1][4]} cycles",
            always(example.config == model(example.preset) for example in EXAMPLES[:3]),
        ),
        Verdict(
            "Compute scaling: same params",
            f"{scaled_up.params:,}, at {times(scaled_up.flops_per_step / base.flops_per_step)} FLOPs",
            always([scaled_up.params == base.params]),
        ),
    ]
    return Section("Commands", verdicts, body)
