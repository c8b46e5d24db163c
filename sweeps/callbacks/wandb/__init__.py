"""Weights & Biases: runs while a sweep goes, a summary run at its end, a Report of it, and publishing."""
