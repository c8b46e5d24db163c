"""Errors that a user can cause and fix. Raised where the rule is; a command line prints them and exits with 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONG_LIST = 20
"""Names beyond which the nearest one is shown first."""


class UserError(Exception):
    """A fault in what was given, not in the program.

    Args:
        where: the option, file or field at fault.
        given: what was found there.
        rule: what would have been right.
        hint: what to do now; may be empty when the rule says it all.
    """

    def __init__(self, where: str, given: object, rule: str, hint: str = "") -> None:
        # All arguments reach Exception.__init__, so that the error pickles across processes.
        super().__init__(where, given, rule, hint)
        self.where, self.given, self.rule, self.hint = where, given, rule, hint

    def __str__(self) -> str:
        message = f"{self.where}: given {self.given!r}; {self.rule}"
        return f"{message}. {self.hint}" if self.hint else message


class ConfigError(UserError):
    """A value or key of the configuration that breaks its rule."""


class UnknownNameError(UserError):
    """A name that is in no registry (preset, task, space, sampler, key, ...)."""

    @classmethod
    def among(cls, where: str, given: str, known: Iterable[str]) -> UnknownNameError:
        """Return the error for `given`, which is none of `known`, with the nearest of them as a suggestion."""
        names = sorted(known)
        near = difflib.get_close_matches(given, names, n=1)
        if near and len(names) > LONG_LIST:
            return cls(where, given, f"unknown. Did you mean {near[0]!r}? Known are: {', '.join(names)}")
        hint = f"Did you mean {near[0]!r}?" if near else ""
        return cls(where, given, f"must be one of: {', '.join(names)}", hint)


class ImportPathError(UserError):
    """An import path `package.module:Name` that names nothing usable."""


class DataError(UserError):
    """A data set that is missing, malformed or cannot be split as asked."""


class DeviceError(UserError):
    """A device that this machine does not have."""


class CheckpointError(UserError):
    """A checkpoint that is missing, damaged or belongs to another run."""
