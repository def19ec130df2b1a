"""From conf/ and overrides to one configuration, as Hydra composes it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from omegaconf import DictConfig

from goodfit.config.messages import explain, is_hydra_error
from goodfit.config.overrides import check_files
from goodfit.errors import UserError

# their keys are the columns of a file
_OPEN = re.compile(r"data\.(columns|missing_in|na_values)(\.|=\{)")


def compose(root: Path, overrides: Sequence[str]) -> DictConfig:
    """Hydra's composition of conf/config.yaml with these overrides, and what a sweep tuned.

    Raises:
        UserError: an override names a group, a choice or a key that does not exist, or is no
            override at all; or a file of conf/ is broken.
    """
    from hydra import compose as hydra_compose

    overrides = opened([*overrides, *tuned(root, overrides)])
    with _hydra(root, overrides):
        return hydra_compose("config", overrides)


def files(root: Path, overrides: Sequence[str]) -> list[Path]:
    """The files of conf/ that `compose` reads, from `root`, in Hydra's order.

    Raises:
        UserError: as `compose`.
    """
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode

    overrides = opened([*overrides, *tuned(root, overrides)])
    with _hydra(root, overrides):
        loader = GlobalHydra.instance().config_loader()
        defaults = loader.compute_defaults_list("config", list(overrides), RunMode.RUN)
    paths = []
    for item in defaults.defaults:
        path = Path("conf", f"{item.config_path}.yaml")
        if (root / path).is_file():  # Hydra's own are files of its package
            paths.append(path)
    return paths


@contextlib.contextmanager
def _hydra(root: Path, overrides: Sequence[str]) -> Iterator[None]:
    """Around calls of Hydra on conf/; what it refuses is told in a line or two."""
    from hydra import initialize_config_dir

    check_files(root, overrides)
    folder = str((root / "conf").resolve())
    try:
        with initialize_config_dir(folder, version_base="1.3", job_name="goodfit"):
            yield
    except Exception as error:
        if not is_hydra_error(error):
            raise
        raise UserError(explain(error, root)) from None


def opened(overrides: Sequence[str]) -> list[str]:
    """The overrides, those below a mapping that users fill with two plus signs in front.

    Hydra wants them for a key that the YAML has not, and nobody's table is known to conf/.
    """
    return [f"++{each}" if _OPEN.match(each) else each for each in overrides]


def tuned(root: Path, overrides: Sequence[str]) -> list[str]:
    """`tuned=<experiment>` where conf/tuned/ has the file, unless the overrides name tuned.

    Hydra's own `optional tuned: ${experiment}` would allow no choice of another group in that file.
    """
    values = {}
    for override in overrides:
        key, _, value = override.partition("=")
        values[key.lstrip("+")] = value

    experiment = values.get("experiment")
    if not experiment or {"tuned", "~tuned"} & values.keys():
        return []
    if not (root / "conf/tuned" / f"{experiment}.yaml").is_file():
        return []
    return [f"tuned={experiment}"]
