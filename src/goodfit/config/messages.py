"""Hydra's complaints in a line or two, with the nearest right name."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from goodfit.errors import nearest


def of_hydra(error: BaseException) -> bool:
    """Whether Hydra or OmegaConf raised it about a configuration; for null as a group it is a plain
    ValueError.
    """
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    return isinstance(
        error, HydraException | OmegaConfBaseException
    ) or "group override must be" in str(error)


def explain(error: BaseException, root: Path) -> str:
    """Hydra's message about an override in one or two lines, with the nearest right name."""
    chain = [error, error.__cause__, error.__context__]
    text = "\n".join(str(link) for link in chain if link)
    if match := re.search(r"Could not find '(?P<group>[\w/]+)/(?P<choice>[^'/]+)'", text):
        options = _choices(root, match["group"])
        return (
            f"{match['group']}={match['choice']} does not exist.{nearest(match['choice'], options)}"
        )
    if match := re.search(r"(?:Could not override|Key) '(?P<key>[\w.@/]+)'", text):
        full = re.search(r"full_key: (?P<key>\S+)", text)
        key = full["key"] if full else match["key"]
        known = [*_known(root), *(_of_hydra() if key.startswith("hydra.") else [])]
        inside = (
            [name for name in known if name.startswith(key.partition(".")[0] + ".")]
            if "." in key
            else known
        )
        return f"unknown key '{key}'.{nearest(key, inside or known)}"
    if match := re.search(r"You must specify '(?P<group>[\w/]+)'", text):
        return (
            f"no experiment chosen: add experiment=<{'|'.join(_choices(root, 'experiment'))}>, "
            f"or name=... and each group, such as {match['group']}=<{'|'.join(_choices(root, match['group']))}>"
        )
    if "group override must be a string or a list" in text:
        return "a group of conf/ was set to null; expected the name of one of its choices (--help lists them)"
    lines = [
        line.strip()
        for line in text.splitlines()
        if line.strip() and "HYDRA_FULL_ERROR" not in line
    ]
    return " ".join(lines[:2])


def _choices(root: Path, group: str) -> list[str]:
    """What a group offers: files of conf/, and what Hydra and its plugins have stored."""
    from hydra.core.config_store import ConfigStore

    files = [path.stem for path in (root / "conf" / group).glob("*.yaml")]
    with contextlib.suppress(OSError):  # nothing is stored for it
        files += [
            Path(name).stem for name in ConfigStore.instance().list(group) if name.endswith(".yaml")
        ]
    return sorted(files)


def _of_hydra() -> list[str]:
    """Hydra's own keys, and those of its sweeper with all samplers and pruners."""
    from hydra.core.config_store import ConfigStore

    store, sweeper = ConfigStore.instance(), "hydra/sweeper"
    places = [("hydra", "hydra/config"), ("hydra.sweeper", f"{sweeper}/optuna")]
    places += [
        (f"hydra.sweeper.{part}", f"{sweeper}/{part}/{Path(name).stem}")
        for part in ("sampler", "pruner")
        for name in store.list(f"{sweeper}/{part}")
    ]
    nodes = [
        (key, OmegaConf.to_container(store.load(f"{name}.yaml").node, resolve=False))
        for key, name in places
    ]
    return [f"{place}.{key}" for place, node in nodes for key in _dotted(node)]


def _known(root: Path) -> list[str]:
    """Every dotted key that some YAML in conf/ sets."""
    keys: set[str] = {path.name for path in (root / "conf").iterdir() if path.is_dir()}
    for path in (root / "conf").rglob("*.yaml"):
        content = yaml.safe_load(path.read_text()) or {}
        group = "" if path.parent.name in ("conf", "experiment") else path.parent.name + "."
        content.pop("defaults", None)
        keys |= {f"{group}{key}" for key in _dotted(content) if not key.startswith("_")}
    return sorted(keys)


def _dotted(content: Any, prefix: str = "") -> list[str]:
    if not isinstance(content, dict):
        return []
    return [
        name
        for key, item in content.items()
        for name in [f"{prefix}{key}", *_dotted(item, f"{prefix}{key}.")]
    ]
