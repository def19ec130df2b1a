"""Tasks: what the output of a network means, how it is scored, and what a user is told."""
