"""How a stage is started, and how it ends: 0, 2 for a user's mistake, 1 for a failure, 130 or 143
when stopped.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goodfit.errors import FailureError, UserError
from goodfit.paths import Paths
from goodfit.system import signals
from goodfit.system.secrets import redact

if TYPE_CHECKING:
    from omegaconf import DictConfig

MISTAKE, FAILURE = 2, 1


def stage(target: str, *, by_hand: str | None = None, needs: dict[str, str] | None = None) -> None:
    """Runs `module:function` on a configuration: `build/<name>.json`, or one composed from
    overrides.

    `python pipelines/train.py build/mnist.json` is what dvc.yaml calls; `python pipelines/train.py
    experiment=mnist model.width=64` composes conf/ by itself, and takes all of Hydra's flags.
    `needs` names the places that must exist (see `Paths`) with the stage that makes each; they are
    looked for before the function's module, and with it torch, is imported.
    """
    root = Path(sys.argv[0]).resolve().parents[1]
    os.chdir(root)
    arguments = sys.argv[1:]
    if {"--help", "-h"} & set(arguments):
        print(usage(root))
    elif (
        len(arguments) == 1
        and arguments[0].endswith((".json", ".yaml"))
        and "=" not in arguments[0]
    ):
        signals.end_with_dvc()
        guarded(lambda: _from_file(target, Path(arguments[0]), needs or {}), root)
    else:
        guarded(lambda: _from_hydra(by_hand or target, root, needs or {}), root)


def usage(root: Path) -> str:
    """The groups of conf/ and what may be chosen in each; read from the folder, so it is always
    true.
    """
    groups = {
        folder.name: sorted(path.stem for path in folder.glob("*.yaml"))
        for folder in (root / "conf").iterdir()
    }
    lines = [
        f"  {group}={'|'.join(choices)}" for group, choices in sorted(groups.items()) if choices
    ]
    script = Path(sys.argv[0]).name
    return "\n".join(
        [
            f"python pipelines/{script} experiment=<name> [group=choice] [group.key=value] ...",
            f"python pipelines/{script} build/<name>.json     what `dvc repro` runs",
            "",
            *lines,
            "",
            "--cfg job shows the composed configuration; -m runs several: model.width=32,64; --hydra-help for the rest",
        ]
    )


def limit_spinning() -> None:
    """What GNU OpenMP reads when torch is imported: its threads spin for 5,000 rounds at most.

    Threads of a network wait for each other many times a step. By default they spin for
    milliseconds: beside two other busy processes 140 steps of a CNN took 28 to 53 s, with this 9 s,
    alone 4 s (two cores; decision 0006).
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")


def guarded(action: Callable[[], Any], root: Path = Path()) -> None:
    """Calls `action` and ends the process as the module's first line says; a defect keeps its
    traceback.
    """
    limit_spinning()
    signals.exit_on_signals()
    try:
        action()
    except UserError as error:
        _say(str(error), MISTAKE)
    except FailureError as error:
        _say(str(error), FAILURE)
    except Exception as error:
        from goodfit.config import messages

        if not messages.of_hydra(error):
            raise
        _say(messages.explain(error, root), MISTAKE)


def _say(message: str, code: int) -> None:
    print(f"goodfit: {redact(message)}", file=sys.stderr, flush=True)
    raise SystemExit(code)


def _from_file(target: str, path: Path, needs: dict[str, str]) -> Any:
    from goodfit.config import tree

    return _run(target, tree.load(path), needs)


def _from_hydra(target: str, root: Path, needs: dict[str, str]) -> None:
    import hydra
    from omegaconf import OmegaConf

    from goodfit.config import compose, tree
    from hydra_plugins.hydra_optuna_sweeper import trial as trials

    if more := compose.tuned(root, sys.argv[1:]):
        place = next(
            i for i, item in enumerate(sys.argv) if item.lstrip("+").startswith("experiment=")
        )
        sys.argv[place:place] = more  # beside it: Hydra's parser wants all overrides in one row
        stream = (
            sys.stderr if {"--cfg", "-c"} & set(sys.argv) else sys.stdout
        )  # there the configuration alone
        print(
            f"with conf/tuned/{more[0].partition('=')[2]}.yaml; '~tuned' leaves it out",
            file=stream,
            flush=True,
        )
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing and exiting with 1
    mistakes: list[Exception] = []

    @hydra.main(version_base="1.3", config_path=str(root / "conf"), config_name="config")
    def main(cfg: DictConfig) -> Any:
        try:
            return _run(target, OmegaConf.create(tree.frozen(cfg)), needs)
        except (UserError, FailureError) as error:
            if trials.active():
                raise  # the sweep notes why the trial failed, and goes on
            mistakes.append(error)  # through Hydra it would come with a line of noise for each job
            return None

    main()
    if mistakes:
        raise mistakes[0]


def _run(target: str, cfg: DictConfig, needs: dict[str, str]) -> Any:
    from goodfit.config import check

    check.check(cfg)
    for need, maker in needs.items():
        if not (place := getattr(Paths(cfg.name), need)).exists():
            known = Path("conf/experiment", f"{cfg.name}.yaml").exists()
            advice = (
                f"make it with `dvc repro {maker}@{cfg.name}`"
                if known
                else f"no experiment is named '{cfg.name}'"
            )
            raise UserError(f"{place} does not exist; {advice}")
    module, function = target.split(":")
    return getattr(importlib.import_module(module), function)(cfg)
