"""What watches a sweep while it runs: the live bar and W&B."""
