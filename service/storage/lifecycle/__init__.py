"""State changes of studies, as guarded writes in the caller's transaction."""
