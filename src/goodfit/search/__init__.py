"""What a sweep adds to training: the objective, the run of the sweep, the confirmed winner."""
