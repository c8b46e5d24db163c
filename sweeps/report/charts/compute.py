"""Where compute went: searched, pruned, failed, presets, confirmed."""

from __future__ import annotations

from sweeps.report.charts.chart import Axis, Bars, Chart, Panel
from sweeps.report.folder import Folder
from sweeps.report.numbers import flops

GROUPS = {
    "search, completed": ("search", "completed"),
    "search, pruned": ("search", "pruned"),
    "search, failed": ("search", "failed"),
    "presets": ("baseline", None),
    "confirmed": ("confirm", None),
}


def chart(folder: Folder) -> Chart | None:
    """Training and evaluation FLOPs of each group; None where nothing was spent."""
    rows = {name: found for name, which in GROUPS.items() if (found := folder.of(*which))}
    if not rows:
        return None
    spent = {
        column: [sum(row[column] or 0 for row in found) for found in rows.values()]
        for column in ("train_flops", "eval_flops")
    }
    names = [f"{name}\nn = {len(found)}" for name, found in rows.items()]
    layers = []
    for column, word, colour in (("train_flops", "training", "blue"), ("eval_flops", "evaluation", "sky")):
        start = (
            [0.0] * len(names)
            if column == "train_flops"
            else [value / 1e12 for value in spent["train_flops"]]
        )
        notes = [f"{name}: {flops(value)} of {word}" for name, value in zip(rows, spent[column])]
        layers.append(Bars(name=word, at=list(range(len(names))), start=start, notes=notes, colour=colour,
                           length=[value / 1e12 for value in spent[column]]))  # fmt: skip
    return Chart(
        title=f"Where compute went, {folder.context.task}",
        caption="FLOPs by what they were spent on; n counts runs. Pruned and failed ones up to their last report.",
        panels=[Panel(x=Axis(label="TFLOPs", low=0), y=Axis(label="", names=names), layers=layers)],
        height=1.4 + 0.55 * len(names),
    )
