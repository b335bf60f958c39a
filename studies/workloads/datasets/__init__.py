"""Reading and downloading data sets."""
