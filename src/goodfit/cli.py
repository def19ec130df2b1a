"""How a command starts, and with which code it ends.

0 for success, 2 for a user's mistake, 1 for a failure, 130 or 143 when it was stopped.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from goodfit.errors import FailureError, UserError
from goodfit.paths import Paths, choices
from goodfit.system import allocator, memory, signals
from goodfit.system.claim import claim
from goodfit.system.secrets import redact

if TYPE_CHECKING:
    from omegaconf import DictConfig

Output = Literal["raw", "prepared", "model", "evaluation", "page"]  # properties of `Paths`
Stage = Literal["fetch", "prepare", "train", "evaluate", "report"]
Needs = Mapping[Output, Stage]  # what must exist, with the stage that makes it

# a training claims its checkpoints by itself, once for all machines that were given the command
_CLAIM_THEMSELVES = ("train", "by_hand")
_MISTAKE = 2
_FAILURE = 1
_OPTIMIZED = (
    "PYTHONOPTIMIZE (or python -O) turns checks off that goodfit and its libraries rely on; "
    "run it with PYTHONOPTIMIZE= and without -O"
)


def stage(
    target: str,
    *,
    by_hand: str | None = None,
    needs: Needs | None = None,
    options: Sequence[str] = (),
) -> None:
    """Runs `target`, a "module:function", on the configuration that the command line names.

    `python pipelines/train.py build/mnist.json` is what dvc.yaml calls; `python pipelines/train.py
    experiment=mnist model.width=64` composes conf/ by itself, takes all of Hydra's flags, and runs
    `by_hand` instead where that is given. `options` are names beside conf/ that it takes as
    arguments, such as cv=5: no configuration keeps them. `needs` are looked for before the
    function's module, and with it torch, is imported.
    """
    root = Path(sys.argv[0]).resolve().parents[1]  # of the repository: it has pipelines/
    os.chdir(root)
    arguments = sys.argv[1:]
    if {"--help", "-h"} & set(arguments):
        print(usage(root))
    elif len(arguments) == 1 and _is_file_name(arguments[0]):
        # a stage whose DVC was killed would go on as an orphan, and write into the next run's files
        signals.end_with_dvc()
        guarded(lambda: _run_composed(target, Path(arguments[0]), needs or {}), root)
    else:
        guarded(lambda: _compose_and_run(by_hand or target, root, needs or {}, options), root)


def usage(root: Path) -> str:
    """The groups of conf/ and their choices, read from the folder, so it is always true."""
    script = Path(sys.argv[0]).name
    lines = [
        f"python pipelines/{script} experiment=<name> [group=choice] [group.key=value] ...",
        f"python pipelines/{script} build/<name>.json     what `dvc repro` runs",
        "",
    ]
    for folder in sorted((root / "conf").iterdir()):
        offered = choices(folder)
        if offered:
            lines.append(f"  {folder.name}={'|'.join(offered)}")
    lines += [
        "",
        "--cfg job shows the composed configuration; -m runs several: model.width=32,64; "
        "--hydra-help for the rest",
    ]
    return "\n".join(lines)


def limit_spinning() -> None:
    """From now on GNU OpenMP's threads spin for 5,000 rounds at most, if torch comes later.

    Threads of a network wait for each other many times a step. By default they spin for
    milliseconds: beside two other busy processes 140 steps of a CNN took 28 to 53 s, with this 9 s,
    alone 4 s (two cores; docs/decisions/0006).
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")


def guarded(action: Callable[[], Any], root: Path = Path()) -> None:
    """Calls `action`; an error for users ends the process with its code and message in a line.

    `root` has the folder conf/, whose names a message about an override suggests. A defect keeps
    its traceback.
    """
    if sys.flags.optimize:
        _exit(_OPTIMIZED, _MISTAKE)
    limit_spinning()
    allocator.spare_imports()
    signals.exit_on_signals()
    try:
        _run_own_code(root)
        action()
    except UserError as error:
        _exit(str(error), _MISTAKE)
    except FailureError as error:
        _exit(str(error), _FAILURE)
    except Exception as error:
        if memory.ran_out(error):
            _exit(memory.explain(error), _FAILURE)
        from goodfit.config import messages

        if not messages.is_hydra_error(error):
            raise
        _exit(messages.explain(error, root), _MISTAKE)


def _run_own_code(root: Path) -> None:
    """The code that runs is that of the folder: its command starts anew where it is another one's.

    A copy, a worktree, and the folder of `dvc exp run --temp` share the environment of the folder
    that they come from, which imports goodfit from there.

    Raises:
        UserError: Python imports it from elsewhere even so.
    """
    source = root.resolve() / "src"
    running = Path(__file__).resolve().parent
    if not (source / "goodfit").is_dir() or source / "goodfit" == running:
        return
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if paths[0] == str(source):
        raise UserError(f"{root.resolve()} would run the code of {running}; is src/ a whole one?")
    others = [path for path in paths if path]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(source), *others])
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - no shell is wanted


@contextmanager
def claimed(command: str, experiment: str) -> Iterator[None]:
    """In the block, no other process runs the same stage on the same experiment.

    Two would delete each other's half-written files, which have the same names.

    Raises:
        UserError: another process does.
    """
    if command in _CLAIM_THEMSELVES:
        yield
        return
    with claim(Path("build/locks", f"{command}-{experiment}.lock")) as process:
        if process:
            raise UserError(
                f"{command} of {experiment} is being run by process {process}; "
                "wait for it, or stop it"
            )
        yield


def _is_file_name(argument: str) -> bool:
    return argument.endswith((".json", ".yaml")) and "=" not in argument


def _exit(message: str, code: int) -> None:
    print(f"goodfit: {redact(message)}", file=sys.stderr, flush=True)
    raise SystemExit(code)


def _run_composed(target: str, path: Path, needs: Needs) -> None:
    from goodfit.config import tree

    _check_and_run(target, tree.load(path), needs, {})


def _compose_and_run(target: str, root: Path, needs: Needs, options: Sequence[str]) -> None:
    """Hydra composes conf/ with the command line's overrides and runs `target`, or its sweeper."""
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    from goodfit.config import overrides, regularization
    from hydra_plugins.hydra_optuna_sweeper import trial

    sys.argv[1:] = overrides.with_options(sys.argv[1:], options)
    overrides.check_files(root, overrides.parse(sys.argv[1:]))
    overrides.check_files(root, _complete_overrides(root))
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing and exiting with 1
    errors: list[Exception] = []

    @hydra.main(version_base="1.3", config_path=str(root / "conf"), config_name="config")
    def main(cfg: DictConfig) -> Any:
        try:
            if HydraConfig.get().job.chdir:  # a file of conf/ can say so, too
                raise UserError(f"hydra.job.chdir=true: {overrides.NO_CHDIR}")
            content, line = regularization.settled(cfg, HydraConfig.get().overrides.task)
            if line and not trial.active():
                print(line, flush=True)
            given = {name: content.pop(name) for name in options if name in content}
            return _check_and_run(target, OmegaConf.create(content), needs, given)
        except (UserError, FailureError) as error:
            if trial.active():
                raise  # the sweep notes why the trial failed, and goes on
            errors.append(error)  # through Hydra it would come with a line of noise for each job
            return None

    main()
    if errors:
        raise errors[0]


def _complete_overrides(root: Path) -> list[str]:
    """Names of columns may be new; the values that a sweep has tuned are added, and it is said.

    Returns what was added.
    """
    from goodfit.config import compose

    sys.argv[1:] = compose.opened(sys.argv[1:])
    if {"--cfg", "-c"} & set(sys.argv):
        _tell_level(root)
    added = compose.tuned(root, sys.argv[1:])
    if not added:
        return []

    # beside the experiment: Hydra's parser wants all overrides in one row
    is_experiment = [item.lstrip("+").startswith("experiment=") for item in sys.argv]
    index = is_experiment.index(True)
    sys.argv[index:index] = added

    # standard output is for the configuration alone where it is asked for
    stream = sys.stderr if {"--cfg", "-c"} & set(sys.argv) else sys.stdout
    name = added[0].partition("=")[2]
    print(f"with conf/tuned/{name}.yaml; '~tuned' leaves it out", file=stream, flush=True)
    return added


def _tell_level(root: Path) -> None:
    """What a level of regularization sets, for Hydra prints what it composed, and ends."""
    from goodfit.config import compose, overrides, regularization

    given = overrides.parse(sys.argv[1:])
    _, line = regularization.settled(compose.compose(root, given), given)
    if line:
        print(f"{line}; what --cfg shows is before that", file=sys.stderr, flush=True)


def _check_and_run(target: str, cfg: DictConfig, needs: Needs, given: Mapping[str, Any]) -> Any:
    from goodfit.config import check

    check.check(cfg)
    for output, maker in needs.items():
        _check_exists(getattr(Paths(cfg.name), output), maker, cfg.name)

    module, function = target.split(":")
    with claimed(module.rpartition(".")[2], cfg.name):
        return getattr(importlib.import_module(module), function)(cfg, **given)


def _check_exists(path: Path, maker: Stage, experiment: str) -> None:
    """What an earlier stage makes is there."""
    if path.exists():
        return
    advice = f"no experiment is named '{experiment}'"
    if Path("conf/experiment", f"{experiment}.yaml").exists():
        from goodfit.config import gallery

        advice = f"make it with `{gallery.command(maker, experiment)}`"
    raise UserError(f"{path} does not exist; {advice}")
