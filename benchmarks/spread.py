"""Do architectures differ by more than seeds do? What the default run's task, length and objective rest on.

    python benchmarks/spread.py --task sudoku6 --clues 24 --steps 800 --seeds 4 --out spread.jsonl
    python benchmarks/spread.py --space text_cycles --lr 0.006 --seeds 3 --out spread.jsonl
    python benchmarks/spread.py --table spread.jsonl

Trains shapes of `depth_vs_width` and the Tiny Demo preset, or every shape of another space under its own rules,
at equal training FLOPs, one learning rate, several seeds. For each objective: the standard deviation between
architectures (that of seeds taken out), between seeds of one architecture, their ratio, and the F statistic with
its p-value (one-way analysis of variance).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import multiprocessing
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from hrm.config.run_config import RunConfig
from hrm.data.registry import get_task_class, open_task
from sweeps.config import BudgetConfig, SweepConfig, SweepTrainConfig
from sweeps.search.objectives import Objective, list_objective_names
from sweeps.space.candidates import Candidates
from sweeps.space.space import load_space

SHAPES = [(1, 1), (1, 3), (3, 1), (2, 2), (4, 4), (8, 8)]
"""H_layers and L_layers; the width follows from the budget."""
PRESET = "tiny_demo"


def main(arguments: Sequence[str]) -> None:
    options = parse(arguments)
    if options.table:
        print(table([json.loads(line) for line in options.table.read_text().splitlines()]))
        return
    jobs = [
        (name, dataclasses.replace(run, seed=seed, threads=1))
        for name, run in runs(options)
        for seed in range(100, 100 + options.seeds)
    ]
    open_task(jobs[0][1].task)
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool, options.out.open("a") as out:
        for row in pool.imap_unordered(train, jobs):
            print(json.dumps(row | {"label": options.label or label(options)}), file=out, flush=True)
            print(row["arm"], row["seed"], f"{row['seconds']:.1f} s", row["metrics"][-1], file=sys.stderr)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", type=Path, help="print the table of stored rows and train nothing")
    parser.add_argument("--space", help="its shapes under its own rules; only --steps and --lr are yours")
    parser.add_argument("--task", default="sudoku6")
    parser.add_argument("--clues", type=int)
    parser.add_argument("--valid-puzzles", type=int)
    parser.add_argument(
        "--steps", type=int, help="of the preset, 800 or the space's own; its FLOPs are everyone's allowance"
    )
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--halt-max-steps", type=int, default=2)
    parser.add_argument("--q-continue", action="store_true")
    parser.add_argument("--shapes", nargs="*", help="for example 1+1 4+4; none given: six and the preset")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--label", help="what to call this candidate in the table")
    parser.add_argument("--out", type=Path, default=Path("spread.jsonl"))
    options = parser.parse_args(arguments)
    if options.steps is None and not options.space:
        options.steps = 800
    return options


def label(options: argparse.Namespace) -> str:
    if options.space:
        return f"{options.space}, lr {options.lr:g}"
    clues = "" if options.clues is None else f", {options.clues} clues"
    return f"{options.task}{clues}, {options.steps} steps"


def runs(options: argparse.Namespace) -> list[tuple[str, RunConfig]]:
    """The arms: shapes at the budget, and the preset."""
    if options.space:
        return shapes_of(options.space, options.lr, options.steps)
    space = {name: value for name, value in load_space("depth_vs_width").items() if name != "run"}
    given = {"clues": options.clues, "valid_puzzles": options.valid_puzzles}
    task = {"name": options.task} | {name: value for name, value in given.items() if value is not None}
    config = SweepConfig(
        space=space,
        task=task,
        model={
            "halt_max_steps": options.halt_max_steps,
            "q_continue": options.q_continue,
            "forward_dtype": "float32",
        },
        train=SweepTrainConfig(steps=options.steps, batch_size=options.batch_size, lr=options.lr),
        budget=BudgetConfig(max_params=PRESET, min_params=0.8),
    )
    fields = get_task_class(options.task)(**task).get_model_fields()
    assert fields is not None, "a generated task"
    candidates = Candidates(config, fields)
    arms = []
    shapes = [tuple(map(int, shape.split("+"))) for shape in options.shapes] if options.shapes else SHAPES
    for H_layers, L_layers in shapes:
        one = candidates.candidate({"H_layers": H_layers, "L_layers": L_layers, "lr": options.lr})
        assert one is not None, f"{H_layers}+{L_layers} does not fit"
        arms.append((f"{H_layers}+{L_layers} layers, width {one.run.model.hidden_size}", one.run))
    if not options.shapes:
        arms.append((PRESET, candidates.preset(PRESET, options.lr).run))
    return arms


def shapes_of(space: str, lr: float, steps: int | None) -> list[tuple[str, RunConfig]]:
    """Every distinct shape of a shipped space at a learning rate, under the space's own rules."""
    values = load_space(space)
    run = values.pop("run")
    config = SweepConfig(
        space=values,
        family=run.get("family", "puzzle"),
        task=run["task"],
        model=run["model"],
        train=SweepTrainConfig(**run["train"] | {"lr": lr} | ({} if steps is None else {"steps": steps})),
        budget=BudgetConfig(**run["budget"]),
    )
    fields = get_task_class(run["task"]["name"])(**run["task"]).get_model_fields()
    assert fields is not None, "a task whose sizes its options tell"
    candidates = Candidates(config, fields)
    arms = []
    for shape in candidates.each_shape():
        one = candidates.candidate({**shape.params, "lr": lr})
        assert one is not None
        name = " ".join(f"{field}={value}" for field, value in one.values.items() if field != "lr")
        arms.append((name, one.run))
    return arms


def train(job: tuple[str, RunConfig]) -> dict[str, Any]:
    """One run to its end, in a process of its own share."""
    from hrm.training.trainer import Trainer

    arm, run = job
    began = time.monotonic()
    trainer = Trainer(run, open_task(run.task))
    metrics = []
    while not trainer.finished:
        report = trainer.train_to_next_validation()
        metrics.append({name: value for name, value in report.metrics.items() if name.startswith("valid/")})
    return {
        "arm": arm,
        "seed": run.seed,
        "steps": run.train.steps,
        "seconds": time.monotonic() - began,
        "metrics": metrics,
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown: a line per candidate and objective, candidates in the order of the file."""
    lines = [
        "| candidate | objective | arms x seeds | mean | SD of architectures | SD of seeds | ratio | F | p |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    labels = list(dict.fromkeys(row["label"] for row in rows))
    for name in labels:
        those = [row for row in rows if row["label"] == name]
        measured = [
            one for one in list_objective_names() if Objective.parse(one).metric in those[0]["metrics"][-1]
        ]
        lines += [line(name, objective, those) for objective in measured]
    return "\n".join(lines)


def line(name: str, objective: str, rows: Sequence[dict[str, Any]]) -> str:
    goal = Objective.parse(objective)
    arms = defaultdict(list)
    for row in rows:
        curve = [point[goal.metric] for point in row["metrics"]]
        arms[row["arm"]].append(math.fsum(curve) / len(curve) if goal.over_curve else curve[-1])
    groups = list(arms.values())
    within = float(np.sqrt(np.mean([np.var(group, ddof=1) for group in groups])))
    n = float(np.mean([len(group) for group in groups]))
    between = math.sqrt(max(0.0, float(np.var([np.mean(g) for g in groups], ddof=1)) - within**2 / n))
    if within == 0:
        ratio, f, p = "-", "-", "-"
    else:
        result = stats.f_oneway(*groups)
        ratio, f, p = f"{between / within:.2f}", f"{result.statistic:.1f}", f"{result.pvalue:.1g}"
    mean = np.mean([value for group in groups for value in group])
    size = f"{len(groups)} x {n:.0f}"
    return (
        f"| {name} | {objective} | {size} | {mean:.3f} | {between:.3f} | {within:.3f} | {ratio} | {f} | {p} |"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
