"""The sweeper's exception under its public name; Hydra's search for plugins executes this file once more."""

from hydra_plugins.hydra_optuna_sweeper._errors import SweepError as SweepError
