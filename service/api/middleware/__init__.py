"""Middleware of the HTTP process, one file each."""
