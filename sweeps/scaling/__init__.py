"""How the best of several sweeps changes with their budget: power laws, tested and extrapolated."""
