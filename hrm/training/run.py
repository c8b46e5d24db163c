"""A training run from its first step to what it leaves and says at the end."""

from __future__ import annotations

import shlex
import sys
from typing import Any

from hrm.models.metrics import Metrics
from hrm.system.device import is_out_of_memory
from hrm.system.signals import Stopped, StopSignals
from hrm.training.divergence import Diverged
from hrm.training.progress import face_for, number
from hrm.training.request import Request, read_request
from hrm.training.run_folder import WEIGHTS, RunFolder
from hrm.training.trainer import Trainer

FAILED = 1


def run_command(arguments: list[str]) -> int:
    """Trains what the command line asks for; see `hrm.train.main`."""
    try:
        request = read_request(arguments)
        print(_opening(request), flush=True)
        code = run(request.trainer, request.folder, request.read_test)
        if code == 0 and request.publication is not None:
            title = f"{request.label} on {request.trainer.dataset.name}"
            print(f"published at {request.publication.publish(request.folder.path, title)}")
        return code
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        advice = "try a smaller train.batch_size, train.eval_batch_size or model"
        print(f"error: out of memory; {advice}", file=sys.stderr)
        return FAILED


def run(trainer: Trainer, folder: RunFolder, read_test: bool) -> int:
    """Trains to the end, a signal or divergence. Returns the exit code."""
    # From the first step on the folder can be resumed, whenever the process dies.
    trainer.save(folder.path)
    try:
        train(trainer, folder)
        test = trainer.evaluate(trainer.dataset.test) if read_test else {}
    except Stopped as stopped:
        trainer.save(folder.path)
        folder.write_result(_result(trainer, folder, "stopped", f"by {stopped.name}"))
        print(f"stopped by {stopped.name} after step {trainer.step}; to go on:")
        print(f"  python -m hrm.train resume={shlex.quote(str(folder.path))}")
        return stopped.exit_code
    except Diverged as diverged:
        folder.write_result(_result(trainer, folder, "diverged", str(diverged)))
        print(f"diverged: {diverged}; try a smaller train.lr. Saved in {folder.path}", file=sys.stderr)
        return FAILED
    trainer.save_weights(folder.path / WEIGHTS)
    result = _result(trainer, folder, "completed", None, test)
    folder.write_result(result)
    print(_closing(result, folder))
    return 0


def train(trainer: Trainer, folder: RunFolder) -> None:
    """Trains to the end; each report is written, then the checkpoint.

    Raises:
        Diverged: see `Trainer.train_to_next_validation`.
        Stopped: a signal came; the trainer is whole, between two steps.
    """
    with StopSignals() as signals, face_for(trainer.config.train.steps, trainer.step) as face:

        def on_step(step: int) -> None:
            face.on_step(step)
            signals.check()

        while not trainer.finished:
            report = trainer.train_to_next_validation(on_step)
            folder.add_report(report)
            trainer.save(folder.path)
            face.on_report(report)


def _opening(request: Request) -> str:
    trainer = request.trainer
    train, dataset = trainer.config.train, trainer.dataset
    flops = train.max_flops or train.steps * trainer.counts.flops_per_step
    accumulated = f"{train.accumulation} x " if train.accumulation > 1 else ""
    lines = [
        f"{request.label} on {dataset.name}: {trainer.counts.params:,} parameters, {train.steps} steps of "
        f"{accumulated}{train.batch_size} sequences, {flops:.3g} training FLOPs, on {trainer.device.type}",
        f"writing to {request.folder.path}",
    ]
    if trainer.step:
        lines.append(f"going on after step {trainer.step}")
    if not dataset.supports_verdict:
        lines.append(f"{dataset.name} is a smoke test: it must not decide between architectures")
    return "\n".join(lines)


def _result(
    trainer: Trainer, folder: RunFolder, status: str, reason: str | None, test: Metrics | None = None
) -> dict[str, Any]:
    rows = folder.reports(last=trainer.reports_made)
    spent = {
        "step": trainer.step,
        "train_flops": trainer.train_flops,
        "eval_flops": trainer.eval_flops,
        "train_seconds": trainer.train_seconds,
        "eval_seconds": trainer.eval_seconds,
    }
    metrics = {name: value for name, value in rows[-1].items() if "/" in name} if rows else {}
    metrics |= {f"test/{name}": value for name, value in (test or {}).items()}
    return {"status": status, "reason": reason, "params": trainer.counts.params, **spent, **metrics}


def _closing(result: dict[str, Any], folder: RunFolder) -> str:
    lines = []
    for split in ("valid", "test"):
        names = ("exact_accuracy", "blank_accuracy", "bits_per_byte", "perplexity", "loss")
        shown = {name: result[f"{split}/{name}"] for name in names if f"{split}/{name}" in result}
        if any(value is not None for value in shown.values()):
            figures = ", ".join(f"{name} {number(value)}" for name, value in shown.items())
            lines.append(f"{split}: {figures}")
    return "\n".join([*lines, f"saved in {folder.path}"])
