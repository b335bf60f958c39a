"""A study as data: the posted definition and the complete spec."""
