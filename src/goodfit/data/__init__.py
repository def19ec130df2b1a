"""Data sets: one file for each; `base` is what they have in common, `packed` what training reads."""
