"""The templates of the report's written forms."""
