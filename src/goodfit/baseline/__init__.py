"""Classical methods on the same split: what a network must beat to be worth its cost."""
