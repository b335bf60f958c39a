"""Stored data by subject: studies, runs, progress, runners and more."""
