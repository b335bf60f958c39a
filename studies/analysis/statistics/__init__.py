"""Statistics on plain arrays of numbers, one a file; the file's stem is the statistic's name."""
