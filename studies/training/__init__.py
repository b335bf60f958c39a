"""Training a pack, with torch only."""
