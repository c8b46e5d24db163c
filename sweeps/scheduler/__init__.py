"""All decisions of a sweep: what to train next, when to stop, what to confirm. No Ray, no processes."""
