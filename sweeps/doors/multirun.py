"""Several sweeps by one command (`-m`): which one Hydra is at, what would start it alone, where it goes."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeps.config import SweepConfig


@dataclass(frozen=True)
class OneOfSeveral:
    """A sweep of a command that asks for several.

    Args:
        arguments: the command line that asks for this one alone.
        folder: its folder's name: what it has that the others have not, such as `max_params-0.25M_seed-1`.
    """

    arguments: list[str]
    folder: str


def current(asked: Sequence[str], given: Mapping[str, str]) -> OneOfSeveral | None:
    """The sweep that Hydra is at; None where the command asks for one only.

    Args:
        asked: the command line as Hydra got it.
        given: what the user wrote, by the names that Hydra got instead of paths.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    hydra = HydraConfig.get()
    if hydra.mode != RunMode.MULTIRUN:
        return None
    return one_of_several(list(hydra.overrides.task), asked, given)


def one_of_several(overrides: Sequence[str], asked: Sequence[str], given: Mapping[str, str]) -> OneOfSeveral:
    """As `current`, from the assignments of the one sweep."""
    arguments = {override: _as_given(override, given) for override in overrides}
    varied = [_folder_part(arguments[override]) for override in overrides if override not in asked]
    return OneOfSeveral(list(arguments.values()), "_".join(varied) or "0")


def placed(config: SweepConfig, folder: str, started: float) -> SweepConfig:
    """The sweep with a folder of its own: in `out`, else in `outputs/multirun-<time>`.

    Args:
        started: when the command was, in seconds since the epoch.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(started))
    together = Path(config.out) if config.out else Path("outputs") / f"multirun-{stamp}"
    return dataclasses.replace(config, out=str(together / folder))


def _as_given(override: str, given: Mapping[str, str]) -> str:
    key, _, value = override.removeprefix("++").partition("=")
    return f"{key}={given.get(value, value)}"


def _folder_part(argument: str) -> str:
    key, _, value = argument.partition("=")
    value = Path(value).stem if value.endswith((".yaml", ".yml")) else value
    plain = re.sub(r"[^\w.+-]+", "-", value).strip("-")
    return f"{key.rpartition('.')[2]}-{plain}"
