"""Training one model: trainer, optimizers, checkpoints, run folder."""
