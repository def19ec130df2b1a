"""Scores with intervals, and a verdict against baselines; knows no paths and no MLflow."""
