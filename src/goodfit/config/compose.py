"""From conf/ and overrides to one resolved tree; from a tree to the file that the stages run from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from goodfit.config.messages import explain, of_hydra
from goodfit.errors import UserError


def compose(root: Path, overrides: Sequence[str]) -> DictConfig:
    """Hydra's composition of conf/config.yaml with these overrides; mistakes in them are
    UserErrors.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir

    try:
        with initialize_config_dir(
            str((root / "conf").resolve()), version_base="1.3", job_name="goodfit"
        ):
            return hydra_compose("config", [*overrides, *tuned(root, overrides)])
    except Exception as error:
        if not of_hydra(error):
            raise
        raise UserError(explain(error, root)) from None


def tuned(root: Path, overrides: Sequence[str]) -> list[str]:
    """`tuned=<experiment>` where conf/tuned/ has the file, unless the overrides speak of tuned
    themselves.

    Hydra's own `optional tuned: ${experiment}` would allow no choice of another group in that file.
    """
    found = {
        key.lstrip("+~"): value for key, _, value in (item.partition("=") for item in overrides)
    }
    name = found.get("experiment", "")
    known = name and "tuned" not in found and (root / "conf/tuned" / f"{name}.yaml").is_file()
    return [f"tuned={name}"] if known else []
