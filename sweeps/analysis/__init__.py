"""Analysis of a sweep's tables: verdicts, importance, Pareto fronts, scaling laws."""
