"""Devices, files, signals and units."""
