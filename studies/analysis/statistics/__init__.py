"""Statistics on plain arrays of numbers, by theme."""
