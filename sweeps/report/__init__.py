"""The report of a sweep. Empty, because the processes that draw figures import this package."""
