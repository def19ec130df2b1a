"""Data sets: one file for each; `base` is what all have in common, `split` how rows are divided."""
