"""Posted studies checked against the catalogue."""
