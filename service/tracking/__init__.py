"""MLflow: the recorder process and what it has recorded."""
