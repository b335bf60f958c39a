"""API answers built from stored rows."""
