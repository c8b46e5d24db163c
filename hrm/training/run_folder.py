"""The folder that one training run leaves.

`config.yaml`: the resolved config; `config=DIR/config.yaml` trains the same run again.
`checkpoint.pt`: the whole state at the last report or stop; `resume=DIR` goes on from it.
`metrics.jsonl`: a JSON object a line and report: `index`, `step` (optimizer steps), `train_flops` (FLOPs
spent on training), `train_seconds`, `eval_seconds`, and each metric; losses are in nats, accuracies in 0..1,
`steps` are segments of a puzzle or steps of a token in a layer, null is "nothing to measure".
`weights.pt`: the trained weights, averaged ones where `train.ema` is on; a puzzle model's under the official names.
`result.json`: how the run ended (`status`: completed, stopped or diverged) and its last metrics.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hrm.config.errors import ConfigError
from hrm.config.run_config import RunConfig, save_run_config
from hrm.system.files import write_text_atomically
from hrm.training import checkpoint
from hrm.training.trainer import Validation

CONFIG, METRICS, WEIGHTS, RESULT = "config.yaml", "metrics.jsonl", "weights.pt", "result.json"


class RunFolder:
    """Writes and reads one run's files; see the module for what they hold."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @staticmethod
    def check_new(path: Path) -> None:
        """Makes sure that the folder holds no run yet.

        Raises:
            ConfigError: it does.
        """
        for name in (CONFIG, METRICS, checkpoint.FILE_NAME):
            if (path / name).exists():
                raise ConfigError(
                    "out", str(path), f"must not hold a run already (found {name})",
                    f"Choose another folder, or go on with resume={path}",
                )  # fmt: skip

    @classmethod
    def create(cls, path: Path) -> RunFolder:
        """A folder for a new run.

        Raises:
            ConfigError: the folder already holds a run, or cannot be made.
        """
        cls.check_new(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                "out", str(path), f"must be a folder that can be made: {error.strerror}"
            ) from None
        return cls(path)

    def write_config(self, config: RunConfig) -> None:
        save_run_config(config, self.path / CONFIG)

    def add_report(self, report: Validation) -> None:
        """Appends the report; on disk when this returns."""
        row = dataclasses.asdict(report)
        row |= row.pop("metrics")
        with (self.path / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def reports(self, last: int) -> list[dict[str, Any]]:
        """The rows up to report `last`; what a killed run wrote after its last checkpoint is left out."""
        path = self.path / METRICS
        if not path.exists():
            return []
        # A killed writer may leave half a line, always the last and always after the last checkpoint.
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        return [row for row in map(json.loads, lines) if row["index"] <= last]

    def write_reports(self, rows: list[dict[str, Any]]) -> None:
        """Puts these rows in the place of all rows."""
        text = "".join(json.dumps(row) + "\n" for row in rows)
        write_text_atomically(self.path / METRICS, text)

    def write_result(self, result: Mapping[str, Any]) -> None:
        text = json.dumps(result, indent=2) + "\n"
        write_text_atomically(self.path / RESULT, text)
