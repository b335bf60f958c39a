"""The rows of a study, and their form as CSV."""
