"""Every line that touches MLflow: runs, metrics on their way, the registry."""
