"""Compiled training steps and their cache."""
