"""How a stage is started, and how it ends: 0, 2 for a user's mistake, 1 for a failure, 130 or 143 when stopped."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from goodfit import check, config
from goodfit.errors import NonFiniteLossError, UserError
from goodfit.mask import mask

MISTAKE, FAILURE = 2, 1


def stage(target: str, by_hand: str | None = None) -> None:
    """Runs `module:function` on a configuration: `build/<name>.yaml`, or one composed from overrides.

    `python pipelines/train.py build/mnist.yaml` is what dvc.yaml calls; `python pipelines/train.py
    experiment=mnist model.width=64` composes conf/ by itself, and takes all of Hydra's flags.
    """
    root = Path(sys.argv[0]).resolve().parents[1]
    os.chdir(root)
    guarded(lambda: _from_file(target) if _names_file(sys.argv[1:]) else _from_hydra(by_hand or target, root), root)


def guarded(action: Callable[[], Any], root: Path = Path()) -> None:
    """Calls `action` and ends the process as the module's first line says; a defect keeps its traceback."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    try:
        action()
    except UserError as error:
        _say(str(error), MISTAKE)
    except (HydraException, OmegaConfBaseException) as error:
        _say(config.explain(error, root), MISTAKE)
    except NonFiniteLossError as error:
        _say(str(error), FAILURE)


def _stop(number: int, _frame: object) -> None:
    """Lightning answers KeyboardInterrupt with exit code 1 and SIGTERM with 0; SystemExit passes through it."""
    print(f"goodfit: stopped by {signal.Signals(number).name}", file=sys.stderr, flush=True)
    raise SystemExit(128 + number)


def _say(message: str, code: int) -> None:
    print(f"goodfit: {mask(message)}", file=sys.stderr, flush=True)
    raise SystemExit(code)


def _names_file(arguments: list[str]) -> bool:
    return len(arguments) == 1 and arguments[0].endswith((".yaml", ".yml")) and "=" not in arguments[0]


def _from_file(target: str) -> None:
    _run(target, config.load(Path(sys.argv[1])))


def _from_hydra(target: str, root: Path) -> None:
    import hydra

    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing and exiting with 1

    @hydra.main(version_base="1.3", config_path=str(root / "conf"), config_name="config")
    def main(cfg: DictConfig) -> Any:
        resolved = OmegaConf.create(config.frozen(cfg))
        return _run(target, resolved)

    main()


def _run(target: str, cfg: DictConfig) -> Any:
    check.check(cfg)
    module, function = target.split(":")
    return getattr(importlib.import_module(module), function)(cfg)
