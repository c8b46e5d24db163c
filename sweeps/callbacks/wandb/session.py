"""A sweep's dealings with W&B: which runs are its own, and how one is opened and closed in bounded time."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hrm.config.errors import ConfigError
from sweeps.config import WandbConfig
from sweeps.results.metadata import SweepMetadata

RETRY_SUFFIX = "-offline"
"""Of the id of a run that is kept offline after the server failed to open it: W&B's service process goes on
holding the id itself. Published, it gets its own id again."""
OPEN = "open"
"""File in a run's folder until the run is closed, and where it is online, until the server has taken it."""
SUPERSEDED = "superseded"
"""File in the folder of an offline run that a later one repeats whole."""


def mark_open(run: Any) -> None:
    (_folder(run) / OPEN).touch()


def mark_closed(run: Any) -> None:
    (_folder(run) / OPEN).unlink(missing_ok=True)


def supersede(out: Path, identity: str) -> None:
    """Puts the offline runs of this id aside: one that repeats them is about to be written."""
    for folder in _current(out):
        if read_run_id(folder) == identity and _is_offline(folder):
            (folder / SUPERSEDED).touch()


def find_unsent_runs(out: Path) -> Iterator[Path]:
    """Folders of the runs that no server has yet, in the order of their starts."""
    for folder in _current(out):
        if not is_synced(folder) and (_is_offline(folder) or (folder / OPEN).exists()):
            yield folder


def is_synced(folder: Path) -> bool:
    """Whether `wandb sync` has sent it."""
    return any(folder.glob("*.wandb.synced"))


def read_run_id(folder: Path) -> str:
    """The id of a folder's run, as the server is to know it."""
    return _own_id(folder).removesuffix(RETRY_SUFFIX)


def is_retry(folder: Path) -> bool:
    """Whether the run goes by an id that the server is not to know."""
    return _own_id(folder).endswith(RETRY_SUFFIX)


def _own_id(folder: Path) -> str:
    (log,) = folder.glob("*.wandb")
    return log.stem.removeprefix("run-")


def _current(out: Path) -> list[Path]:
    """Run folders with a log that are not superseded, in the order of their starts."""
    folders = sorted((out / "wandb").glob("*run-*"), key=lambda path: path.name.partition("run-")[2])
    return [
        folder for folder in folders if any(folder.glob("*.wandb")) and not (folder / SUPERSEDED).exists()
    ]


def _is_offline(folder: Path) -> bool:
    return folder.name.startswith("offline-")


def _folder(run: Any) -> Path:
    return Path(run.dir).parent


SUMMARY = "summary"
"""Job, job type and name of the sweep's own run."""
BEST_SO_FAR = "search/best_so_far"
"""What it logs, a row a search trial."""
CONNECT_SECONDS = 20.0
"""Most that opening an online run waits for the server."""
FINISH_SECONDS = 8.0
"""Most that closing one does; what is left unsent lies on disk."""
MAX_TAG = 64


def check_mode(config: WandbConfig) -> str:
    """`disabled`, `offline` or `online`, decided before anything starts. Never asks.

    Raises:
        ConfigError: online without a login.
    """
    if config.mode == "online" and not is_logged_in():
        hint = "Run `wandb login` or set WANDB_API_KEY first, or choose wandb.mode=offline and sync later"
        raise ConfigError("wandb.mode", "online", "needs a W&B login, and there is none", hint)
    return config.mode


def is_logged_in() -> bool:
    """Whether there is a login on this machine. Asks neither the user nor the server."""
    import wandb

    with contextlib.redirect_stderr(None), contextlib.redirect_stdout(None):
        return bool(wandb.login(prompt=False, verify=False))


def build_run_id(metadata: SweepMetadata, job: int | str) -> str:
    """A job's run, by its number; the sweep's own is called `summary`."""
    return f"{metadata.sweep_id}-{job}"


def build_tags(metadata: SweepMetadata, *more: str) -> list[str]:
    """What to filter by: space, task, budget, and what is given."""
    budget = "no budget" if metadata.max_params is None else f"max_params={metadata.max_params}"
    return [tag[:MAX_TAG] for tag in (metadata.name, metadata.task, budget, *more)]


class WandbSession:
    """Opens and closes a sweep's runs. After the server failed once, the rest is kept offline.

    Args:
        out: the sweep's folder; runs lie in `out/wandb`.
        config: its mode is `offline` or `online`, checked by `check_mode`.
        context: the sweep's setting.
        warn: told in a line, once, when the server fails.
    """

    def __init__(
        self,
        out: Path,
        config: WandbConfig,
        metadata: SweepMetadata,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self.out, self.metadata = out.resolve(), metadata
        self.warn = warn or (lambda message: print(message, file=sys.stderr))
        self.mode = config.mode
        self._config = config

    def prepare(self) -> None:
        """Does once, and early, what W&B would do when the first run is opened: imports, for a second, and the
        start of its service process. Call it before `open`."""
        import wandb

        with contextlib.suppress(ImportError):  # not public, and only half a second lost where it has moved
            import wandb.sdk.launch.inputs.internal

        wandb.setup(build_settings(self.mode))

    def open(
        self, job: int | str, name: str, job_type: str, tags: Sequence[str], config: Mapping[str, Any]
    ) -> Any:
        """A run of W&B's. One that was opened before goes on: of an online one the server has the rows, of an
        offline one all is written again.

        Raises:
            wandb.Error: not even an offline run can be opened.
        """
        import wandb

        given = {"name": name, "job_type": job_type, "tags": tags, "config": dict(config)}
        identity = build_run_id(self.metadata, job)
        supersede(self.out, identity)
        try:
            return self._init(identity, given)
        except wandb.Error as error:
            if self.mode != "online":
                raise
            self.fall_back(f"cannot be reached: {format_error(error)}")
            return self._init(identity + RETRY_SUFFIX, given)

    def close(self, run: Any, exit_code: int) -> None:
        """Ends a run; what the server does not take in time stays on disk."""
        try:
            run.finish(exit_code=exit_code)
            mark_closed(run)
        except TimeoutError:
            self.fall_back(f"did not take {run.id} within {FINISH_SECONDS:.0f} s")

    def fall_back(self, reason: str) -> None:
        """Keeps all further runs offline."""
        if self.mode == "online":
            self.mode = "offline"
            self.warn(f"W&B {reason}. Its runs are kept in {self.out}/wandb and can be synced later")

    def give_up(self, reason: str) -> None:
        """Leaves W&B alone from now on."""
        self.mode = "disabled"
        self.warn(f"W&B {reason}. The sweep goes on; its tables are complete")

    def _init(self, identity: str, given: Mapping[str, Any]) -> Any:
        import wandb

        run = wandb.init(
            mode=self.mode,  # type: ignore[arg-type]
            project=self._config.project,
            entity=self._config.entity,
            id=identity,
            group=self.metadata.unique_name,
            resume="allow" if self.mode == "online" else None,
            dir=self.out,
            reinit="create_new",
            **given,
        )
        mark_open(run)
        return run


def build_settings(mode: str) -> Any:
    """Of this process and every run in it: silent, light, and never waiting for long."""
    import wandb

    return wandb.Settings(
        # A run's own mode comes too late: W&B's telemetry would tell the server of an offline one.
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
        # The log reaches the disk every second instead of every 15, for the sake of killed sweeps.
        x_transaction_log_flush_interval=1.0,
    )


def format_error(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
