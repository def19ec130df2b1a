"""`hydra/sweeper=optuna`: the part that Hydra imports at every start; only a sweep imports Optuna.

Modules here whose names begin with _ are not imported by Hydra's search for plugins.
"""

from __future__ import annotations

from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.hydra_optuna_sweeper import config as keys

keys.register()  # Hydra knows no other moment for it than the import of a plugin


class OptunaSweeper(Sweeper):
    """Optuna 5 behind Hydra's interface; the keys are those of `config.OptunaSweeperConf`."""

    def __init__(self, **options: Any) -> None:
        self.options = OmegaConf.create(options)

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Called by Hydra before `sweep`."""
        from hydra_plugins.hydra_optuna_sweeper._compose import CachingLoader
        from hydra_plugins.hydra_optuna_sweeper._secrets import mask_storage

        self.config = mask_storage(config)
        loader: Any = CachingLoader(hydra_context.config_loader)
        self.hydra_context = HydraContext(loader, hydra_context.callbacks)
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=self.hydra_context, task_function=task_function, config=self.config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Runs the study.

        Raises:
            SystemExit: 2 for a mistake, 1 where too many trials failed.
        """
        from hydra_plugins.hydra_optuna_sweeper._sweep import Sweep

        assert self.config is not None
        assert self.hydra_context is not None
        assert self.launcher is not None
        Sweep(self.options, self.config, self.hydra_context, self.launcher).run(arguments)
