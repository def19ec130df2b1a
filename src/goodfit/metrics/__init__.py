"""Scores that tasks and baselines share, and no library has."""
