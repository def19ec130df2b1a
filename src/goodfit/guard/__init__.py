"""What stands between a broken gradient and the weights."""
