"""Searching: spaces, budgets, the Optuna study, Ray, results, comparison and reports."""
