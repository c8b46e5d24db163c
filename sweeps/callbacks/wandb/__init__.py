"""Weights & Biases: a run per job, a summary run, a Report, and publishing."""
