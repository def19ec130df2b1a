"""From conf/ and overrides to one resolved tree; from a tree to the file that the stages run from."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from goodfit.errors import UserError, nearest

_SIGN = "\u2063"  # invisible separator: occurs in no configuration


def compose(root: Path, overrides: Sequence[str]) -> DictConfig:
    """Hydra's composition of conf/config.yaml with these overrides; mistakes in them are UserErrors."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir

    try:
        with initialize_config_dir(str((root / "conf").resolve()), version_base="1.3", job_name="goodfit"):
            return hydra_compose("config", [*overrides, *tuned(root, overrides)])
    except Exception as error:
        if not of_hydra(error):
            raise
        raise UserError(explain(error, root)) from None


def tuned(root: Path, overrides: Sequence[str]) -> list[str]:
    """`tuned=<experiment>` where conf/tuned/ has the file, unless the overrides speak of tuned themselves.

    Hydra's own `optional tuned: ${experiment}` would allow no choice of another group in that file.
    """
    found = {key.lstrip("+~"): value for key, _, value in (item.partition("=") for item in overrides)}
    name = found.get("experiment", "")
    known = name and "tuned" not in found and (root / "conf/tuned" / f"{name}.yaml").is_file()
    return [f"tuned={name}"] if known else []


def of_hydra(error: BaseException) -> bool:
    """Whether Hydra or OmegaConf raised it about a configuration; for null as a group it is a plain ValueError."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    return isinstance(error, HydraException | OmegaConfBaseException) or "group override must be" in str(error)


def explain(error: BaseException, root: Path) -> str:
    """Hydra's message about an override in one or two lines, with the nearest right name."""
    chain = [error, error.__cause__, error.__context__]
    text = "\n".join(str(link) for link in chain if link)
    if match := re.search(r"Could not find '(?P<group>[\w/]+)/(?P<choice>[^'/]+)'", text):
        options = _choices(root, match["group"])
        return f"{match['group']}={match['choice']} does not exist.{nearest(match['choice'], options)}"
    if match := re.search(r"(?:Could not override|Key) '(?P<key>[\w.@/]+)'", text):
        full = re.search(r"full_key: (?P<key>\S+)", text)
        key = full["key"] if full else match["key"]
        known = [*_known(root), *(_of_hydra() if key.startswith("hydra.") else [])]
        inside = [name for name in known if name.startswith(key.partition(".")[0] + ".")] if "." in key else known
        return f"unknown key '{key}'.{nearest(key, inside or known)}"
    if match := re.search(r"You must specify '(?P<group>[\w/]+)'", text):
        return (
            f"no experiment chosen: add experiment=<{'|'.join(_choices(root, 'experiment'))}>, "
            f"or name=... and each group, such as {match['group']}=<{'|'.join(_choices(root, match['group']))}>"
        )
    if "group override must be a string or a list" in text:
        return "a group of conf/ was set to null; expected the name of one of its choices (--help lists them)"
    lines = [line.strip() for line in text.splitlines() if line.strip() and "HYDRA_FULL_ERROR" not in line]
    return " ".join(lines[:2])


def frozen(cfg: DictConfig) -> dict[str, Any]:
    """The tree with every interpolation resolved except ${oc.env:...}, which stays a reference.

    So a password in the environment reaches neither the composed file nor the tracked run, not even through
    a second key that refers to the first.
    """
    content = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(content, dict)
    content.pop("hydra", None)
    references: list[str] = []

    def mark(text: str) -> str:
        """Each ${oc.env:...}, whatever it holds, becomes a sign that resolving leaves alone."""
        while (start := text.find("${oc.env:")) >= 0:
            end = _closing(text, start)
            references.append(text[start:end])
            text = f"{text[:start]}{_SIGN}{len(references) - 1}{_SIGN}{text[end:]}"
        return text

    resolved = OmegaConf.to_container(OmegaConf.create(_map(content, mark)), resolve=True)
    sign = re.compile(rf"{_SIGN}(\d+){_SIGN}")
    result = _map(resolved, lambda text: sign.sub(lambda match: references[int(match[1])], text))
    assert isinstance(result, dict)
    return result


def _closing(text: str, start: int) -> int:
    """The place after the brace that closes the one of `${` at `start`."""
    depth = 0
    for place in range(start + 1, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0 and text[place] == "}":
            return place + 1
    return len(text)


def data_section(cfg: DictConfig) -> dict[str, Any]:
    """The section `data` as it decides what is prepared; where the raw file comes from is told by its hash."""
    content: dict[str, Any] = OmegaConf.to_container(cfg.data, resolve=True)  # type: ignore[assignment]
    return {key: value for key, value in content.items() if key != "source"}


def dump(content: dict[str, Any]) -> str:
    """YAML with sorted keys: equal configurations are equal bytes."""
    return yaml.safe_dump(content, sort_keys=True, allow_unicode=True, width=100)


def load(path: Path) -> DictConfig:
    """A composed configuration from its file; what compose adds for DVC and reports is left out."""
    if not path.exists():
        raise UserError(f"{path} does not exist; `dvc repro` composes it from conf/")
    try:
        content = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a configuration: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a configuration: it holds {type(content).__name__}, expected names and values")
    for added in ("code", "sources"):
        content.pop(added, None)
    cfg = OmegaConf.create(content)
    assert isinstance(cfg, DictConfig)
    return cfg


def _map(value: Any, change: Any) -> Any:
    if isinstance(value, dict):
        return {key: _map(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_map(item, change) for item in value]
    return change(value) if isinstance(value, str) else value


def _choices(root: Path, group: str) -> list[str]:
    """What a group offers: files of conf/, and what Hydra and its plugins have stored."""
    from hydra.core.config_store import ConfigStore

    files = [path.stem for path in (root / "conf" / group).glob("*.yaml")]
    with contextlib.suppress(OSError):  # nothing is stored for it
        files += [Path(name).stem for name in ConfigStore.instance().list(group) if name.endswith(".yaml")]
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
    nodes = [(key, OmegaConf.to_container(store.load(f"{name}.yaml").node, resolve=False)) for key, name in places]
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
    return [name for key, item in content.items() for name in [f"{prefix}{key}", *_dotted(item, f"{prefix}{key}.")]]
