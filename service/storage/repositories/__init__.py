"""Repositories: reads and writes of studies, runs, progress, runners and more."""
