"""The sweeper's exception under its public name; Hydra's plugin search executes this file again."""

from hydra_plugins.hydra_optuna_sweeper._errors import SweepError as SweepError
