"""From a search space and a budget to the configurations that may be trained, counted before anything starts."""
