"""Configurations: reading and validation, presets, the config of one run."""
