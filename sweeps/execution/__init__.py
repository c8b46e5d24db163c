"""Running jobs on Ray: workers, resources, checkpoints, failures. Decides nothing."""
