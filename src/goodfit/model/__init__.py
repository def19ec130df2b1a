"""Networks: plain modules whose `forward` takes the data set's inputs by name."""
