"""Changes to training batches that keep their meaning; validation and test never see them."""
