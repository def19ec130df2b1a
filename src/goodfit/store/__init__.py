"""Data on disk: fetched, prepared, verified, read as batches."""
