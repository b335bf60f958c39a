"""The report's file formats, one a file."""
