"""A Hydra sweeper on Optuna 5: pruned, parallel, resumable; a drop-in for the released hydra-optuna-sweeper."""
