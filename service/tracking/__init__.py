"""Recording in MLflow: the recorder process, the MLflow client and the record of what is synchronized."""
