"""The endpoint groups of the API, one router a file."""
