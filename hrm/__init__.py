"""The Hierarchical Reasoning Model: architectures, exact counting, tasks and trainer.

Knows nothing of Ray, Optuna, Hydra, W&B or sweeps: it could be published alone.
"""
