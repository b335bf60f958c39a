"""The routes of the pages, one router a file."""
