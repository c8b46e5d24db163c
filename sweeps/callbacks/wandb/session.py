"""A sweep's runs in W&B: how one is opened and closed in bounded time, and which the server does not have yet."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hrm.config.errors import ConfigError
from sweeps.config import WandbConfig
from sweeps.results.metadata import SweepMetadata

SUMMARY = "summary"
"""Job, job type and name of the sweep's own run."""
BEST_SO_FAR = "search/best_so_far"
"""What that run logs for each search trial."""
CONNECT_SECONDS = 20.0
"""How long opening an online run may wait for the server."""
FINISH_SECONDS = 8.0
"""How long closing one may; what has not been sent then stays on disk."""
MAX_TAG = 64
"""Longest tag that the server takes."""
RETRY_SUFFIX = "-offline"
"""Ends the id of a run that is kept offline after the server failed to open it: W&B's service process still holds the
id itself. Publishing gives the run its own id again."""
OPEN = "open"
"""File in a run's folder until the run is closed and, if it is online, the server has all of it."""


def check_mode(config: WandbConfig) -> str:
    """Return `disabled`, `offline` or `online`, without asking the user.

    Raises:
        ConfigError: online without a login.
    """
    if config.mode == "online" and not is_logged_in():
        hint = "Run `wandb login` or set WANDB_API_KEY first, or choose wandb.mode=offline and sync later"
        raise ConfigError("wandb.mode", "online", "needs a W&B login, and there is none", hint)
    return config.mode


def is_logged_in() -> bool:
    """Return whether there is a login on this machine, without asking the user or the server."""
    import wandb

    with contextlib.redirect_stderr(None), contextlib.redirect_stdout(None):
        return bool(wandb.login(prompt=False, verify=False))


def build_run_id(metadata: SweepMetadata, job: int | str) -> str:
    """Return the id of a job's run; the sweep's own run is the job `summary`."""
    return f"{metadata.sweep_id}-{job}"


def build_tags(metadata: SweepMetadata, *more: str) -> list[str]:
    """Return the tags of a run: space, task, budget and `more`."""
    budget = "no budget" if metadata.max_params is None else f"max_params={metadata.max_params}"
    return [tag[:MAX_TAG] for tag in (metadata.name, metadata.task, budget, *more)]


def format_error(error: Exception) -> str:
    """Format an error in one line.

    Example:
        >>> format_error(ValueError("not found\\nat all"))
        'ValueError: not found at all'
    """
    return " ".join(f"{type(error).__name__}: {error}".split())


class WandbSession:
    """Opens and closes a sweep's runs. Once the server has failed, the rest is kept offline.

    Args:
        out: the sweep's folder; runs are in `out/wandb`.
        config: its mode has been checked by `check_mode`.
        metadata: the sweep's.
        warn: takes one line about a failure of the server.
    """

    def __init__(
        self,
        out: Path,
        config: WandbConfig,
        metadata: SweepMetadata,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self.out, self.metadata, self.mode = out.resolve(), metadata, config.mode
        self._config = config
        self._warn = warn or (lambda message: print(message, file=sys.stderr))

    def prepare(self) -> None:
        """Do early what opening the first run would do: import for a second and start W&B's service process."""
        import wandb
        import wandb.apis.public

        wandb.setup(build_settings(self.mode))

    def open(
        self, job: int | str, name: str, job_type: str, tags: Sequence[str], config: Mapping[str, Any]
    ) -> Any:
        """Open a `wandb.Run`. One that was opened before is resumed if it is online, else written again as a whole.

        Raises:
            wandb.Error: not even an offline run can be opened.
        """
        import wandb

        given = {"name": name, "job_type": job_type, "tags": tags, "config": dict(config)}
        run_id = build_run_id(self.metadata, job)
        try:
            return self._init(run_id, given)
        except wandb.Error as error:
            if self.mode != "online":
                raise
            self._fall_back(f"cannot be reached: {format_error(error)}")
            return self._init(run_id + RETRY_SUFFIX, given)

    def close(self, run: Any, exit_code: int) -> None:
        """End a run; what the server does not take in time stays on disk."""
        try:
            run.finish(exit_code=exit_code)
            (Path(run.dir).parent / OPEN).unlink(missing_ok=True)
        except TimeoutError:
            self._fall_back(f"did not take {run.id} within {FINISH_SECONDS:.0f} s")

    def give_up(self, reason: str) -> None:
        """Leave W&B alone from now on."""
        self.mode = "disabled"
        self._warn(f"W&B {reason}. The sweep continues; its tables are complete")

    def _fall_back(self, reason: str) -> None:
        """Keep all further runs offline."""
        if self.mode == "online":
            self.mode = "offline"
            self._warn(f"W&B {reason}. Its runs are kept in {self.out}/wandb and can be synced later")

    def _init(self, run_id: str, given: Mapping[str, Any]) -> Any:
        import wandb

        run = wandb.init(
            mode=self.mode,  # type: ignore[arg-type]
            project=self._config.project,
            entity=self._config.entity,
            id=run_id,
            group=self.metadata.unique_name,
            resume="allow" if self.mode == "online" else None,
            dir=self.out,
            reinit="create_new",
            **given,
        )
        (Path(run.dir).parent / OPEN).touch()
        return run


def build_settings(mode: str) -> Any:
    """Build the `wandb.Settings` of this process and its runs: silent, light, and never waiting for long."""
    import wandb

    return wandb.Settings(
        # A run's own mode comes too late: W&B's telemetry would tell the server about an offline one.
        mode=mode,  # type: ignore[arg-type]
        console="off",
        silent=True,
        disable_git=True,
        disable_code=True,
        x_disable_stats=True,
        x_disable_meta=True,
        x_save_requirements=False,
        symlink=False,
        init_timeout=CONNECT_SECONDS,
        finish_timeout=FINISH_SECONDS,
        finish_timeout_raises=True,
        # The log reaches the disk every second instead of every 15, for sweeps that are killed.
        x_transaction_log_flush_interval=1.0,
    )


def find_unsent_runs(out: Path) -> list[Path]:
    """Return the folders of the runs that the server does not have whole.

    A run that is opened again gets a new folder, into which it repeats whatever earlier ones hold and the server does
    not: of each run only the last folder counts.
    """
    logs = sorted(
        (out / "wandb").glob("*run-*/*.wandb"), key=lambda log: log.parent.name.partition("run-")[2]
    )
    latest = {read_run_id(log.parent): log.parent for log in logs}
    return [
        folder
        for folder in latest.values()
        if not is_synced(folder) and (folder.name.startswith("offline-") or (folder / OPEN).exists())
    ]


def is_synced(folder: Path) -> bool:
    """Return whether `wandb sync` has sent a run."""
    return any(folder.glob("*.wandb.synced"))


def is_retry(folder: Path) -> bool:
    """Return whether a run has a temporary id, see `RETRY_SUFFIX`."""
    return _read_log_name(folder).endswith(RETRY_SUFFIX)


def read_run_id(folder: Path) -> str:
    """Return the id by which the server knows the run of a folder."""
    return _read_log_name(folder).removesuffix(RETRY_SUFFIX)


def _read_log_name(folder: Path) -> str:
    (log,) = folder.glob("*.wandb")
    return log.stem.removeprefix("run-")
