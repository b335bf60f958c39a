"""The plan's counts: how many runs a study will have, as far as its rows can tell."""
