"""The sections of a report, from the verdict to the commands."""
