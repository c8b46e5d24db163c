"""What a user of a sweep can cause, and mend; see `hrm.config.errors`."""

from __future__ import annotations

from hrm.config.errors import UserError


class SpaceError(UserError):
    """A search space that is malformed, empty or names what no model has."""


class BudgetError(UserError):
    """A budget that cannot be read, or that nothing in the space fits."""


class OutputError(UserError):
    """An output folder that already holds a sweep, or cannot be written."""


class ResourceError(UserError):
    """Processors, devices or a cluster that are not there."""


class PublishError(UserError):
    """A sweep that cannot be brought to W&B: no login, no runs, or a server that does not take them."""
