"""One process trains; knows no MLflow, no DVC and no sweep."""
