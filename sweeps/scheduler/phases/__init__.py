"""The phases of a sweep, each of which makes its jobs."""
