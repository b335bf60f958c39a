"""Hyperparameter search: Optuna's suggestions, selection, pruning, ranges, budgets."""
