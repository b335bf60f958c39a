"""Response models built from stored rows."""
