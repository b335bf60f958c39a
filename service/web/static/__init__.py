"""The scripts and styles of the pages."""
