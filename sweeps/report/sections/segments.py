"""How the winner and a preset solve the same puzzles."""

from __future__ import annotations

from sweeps.report import animation
from sweeps.report.blocks import Block, Image, Section, Text, Widget
from sweeps.report.folder import Folder
from sweeps.report.solving import solving


def segments(folder: Folder) -> Section | None:
    """The puzzles to step through; None where no two models were asked."""
    data = solving(folder)
    if data is None:
        return None
    names = " and ".join(arm["name"] for arm in data["puzzles"][0]["arms"])
    text = (
        f"Answers of {names}, each after its first confirmation run, to the first {len(data['puzzles'])} puzzles of "
        "the validation split, after each segment of thought. Shaded cells are given, outlined ones have changed "
        "since the segment before. A few puzzles show how a model works, not how well: for that, see the verdict."
    )
    caption = "The first puzzle: green is right, vermilion wrong, a blue frame marks what has changed."
    blocks: list[Block] = [Text(text), Widget("puzzle", data)]
    if animation.fits(data):
        moving = Text(f"The first of them as an animation: `figures/{animation.FILE_NAME}`.")
        blocks = [Text(text), Widget("puzzle", data, [Image(animation.FILE_NAME, caption)]), moving]
    return Section("Solving, segment by segment", blocks)
