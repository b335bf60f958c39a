"""One file for each change, numbered; the folder is the list."""
