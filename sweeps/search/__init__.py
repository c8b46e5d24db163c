"""All decisions of a sweep: what to train next, what to prune, what to confirm. No Ray, no processes."""
