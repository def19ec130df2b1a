"""Tasks: what the output of a network means, how it is scored, and what readers see of it."""
