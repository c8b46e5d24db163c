"""The folder of one training run.

`config.yaml`: the resolved config; `config=DIR/config.yaml` trains the same run again.
`checkpoint.pt`: the whole state at the last validation or stop; `resume=DIR` continues from it.
`metrics.jsonl`: a JSON object on a line for each validation: `index`, `step` (optimizer steps), `train_flops` (FLOPs
spent on training), `train_seconds`, `eval_seconds`, and each metric; losses are in nats, accuracies in 0..1, `steps`
are segments of a puzzle or steps of a token in a layer, null is "nothing to measure".
`weights.pt`: the trained weights, averaged where `train.ema` is on; those of a puzzle model under the official names.
`result.json`: how the run ended (`status`: completed, stopped or diverged) and its last metrics.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hrm.config.errors import ConfigError
from hrm.config.run_config import RunConfig, save_run_config
from hrm.system.files import write_text_atomically
from hrm.training.checkpoint import FILE_NAME
from hrm.training.progress import Validation

CONFIG, METRICS, WEIGHTS, RESULT = "config.yaml", "metrics.jsonl", "weights.pt", "result.json"


class RunFolder:
    """Reads and writes the files of one run; the module says what they hold."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @staticmethod
    def check_new(path: Path) -> None:
        """Check that the folder holds no run yet.

        Raises:
            ConfigError: it does.
        """
        for name in (CONFIG, METRICS, FILE_NAME):
            if (path / name).exists():
                rule = f"must not hold a run already (found {name})"
                hint = f"Choose another folder, or continue with resume={path}"
                raise ConfigError("out", str(path), rule, hint)

    @classmethod
    def create(cls, path: Path) -> RunFolder:
        """Create a folder for a new run.

        Raises:
            ConfigError: the folder holds a run already, or cannot be created.
        """
        cls.check_new(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            rule = f"must be a folder that can be created: {error.strerror}"
            raise ConfigError("out", str(path), rule) from None
        return cls(path)

    def write_config(self, config: RunConfig) -> None:
        """Write the resolved config."""
        save_run_config(config, self.path / CONFIG)

    def append_validation(self, validation: Validation) -> None:
        """Append a validation to the metrics."""
        row = dataclasses.asdict(validation)
        del row["answers"]
        row |= row.pop("metrics")
        with (self.path / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def read_validations(self, last: int) -> list[dict[str, Any]]:
        """Read the rows up to validation `last`, without what a killed run wrote after its last checkpoint."""
        path = self.path / METRICS
        if not path.exists():
            return []
        # A killed process may leave half a line, always the last one and always after the last checkpoint.
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        return [row for row in map(json.loads, lines) if row["index"] <= last]

    def replace_validations(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write these rows in place of all rows."""
        text = "".join(json.dumps(row) + "\n" for row in rows)
        write_text_atomically(self.path / METRICS, text)

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Write how the run ended."""
        write_text_atomically(self.path / RESULT, json.dumps(result, indent=2) + "\n")
