"""A Hydra sweeper on Optuna 5 with pruning and resuming, a drop-in for hydra-optuna-sweeper."""
