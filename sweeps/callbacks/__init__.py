"""Callbacks that show a running sweep: progress on the terminal, and W&B."""
