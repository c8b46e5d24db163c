"""The options of `python -m hrm.train` that say what to train and where, in addition to the fields of the config."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from hrm.config.errors import ConfigError
from hrm.config.schema import build_config, parse_dotlist

SOURCES = ("preset", "config", "resume")
FREE_ON_RESUME = ("device", "threads")
"""Fields of a config that may differ from the checkpoint's: they decide where a run computes, not what."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What to train and where.

    Raises:
        ConfigError: there is more than one source.
    """

    preset: str | None = None
    """Start from this preset's model; null starts from the official defaults."""
    config: str | None = None
    """Start from this config file."""
    resume: str | None = None
    """Resume the run in this folder; only out, read_test, push_to_hub, device and threads may be given with it."""
    out: str | None = None
    """Folder to write; null is the preset's own folder, or <model>-<task>-<time>, in output_base."""
    output_base: str | None = None
    """Folder of these folders; null is the environment variable OUTPUT_BASE, or outputs/train."""
    read_test: bool = False
    """Evaluate the test split, once, after the last step."""
    push_to_hub: bool | str = False
    """Publish the finished run on the Hugging Face hub: true uses the preset's name there; or give NAME or
    OWNER/NAME. Needs a token (HF_TOKEN), which is checked before the training."""

    def __post_init__(self) -> None:
        given = [name for name in SOURCES if getattr(self, name) is not None]
        if len(given) > 1:
            raise ConfigError(
                " and ".join(given), "both", f"at most one of {', '.join(SOURCES)} may be given"
            )


def read_options(arguments: list[str]) -> tuple[RunOptions, dict[str, Any]]:
    """Read a command line.

    Returns:
        The options, and the overrides of config fields by the names given.

    Raises:
        ConfigError: an argument is malformed, has no valid value, or may not be given with `resume`.
    """
    values = parse_dotlist(arguments)
    names = {field.name for field in dataclasses.fields(RunOptions)}
    own = {name: value for name, value in values.items() if name in names}
    options = build_config(RunOptions, own, "command line")
    overrides = {name: value for name, value in values.items() if name not in names}
    for name, value in overrides.items():
        if options.resume is not None and name not in FREE_ON_RESUME:
            allowed = (
                f"only out, read_test, push_to_hub, {', '.join(FREE_ON_RESUME)} may be given with resume"
            )
            hint = f"To train from the start with other values, use config={options.resume}/config.yaml"
            raise ConfigError(name, value, allowed, hint)
    return options, overrides
