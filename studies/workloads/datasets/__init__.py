"""Readers of data sets, and their download."""
