"""Hydra's complaints in a line or two, with the nearest right name."""

from __future__ import annotations

import contextlib
import re
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from omegaconf import OmegaConf

from goodfit.config import overrides, read, tree
from goodfit.config.sections import SEVERAL
from goodfit.errors import UserError, nearest
from goodfit.paths import choices

if TYPE_CHECKING:
    from hydra.errors import OverrideParseException

_NO_CHOICE = re.compile(r"Could not (?:find|load) '(?P<group>[\w/]+)/(?P<choice>[^'/]*)'")
_NO_KEY = re.compile(
    r"(?:Could not override|Key|Could not delete from config\.|Could not delete\. No match for) "
    r"'(?P<key>[\w.@/]+)'"
)
_FULL_KEY = re.compile(r"full_key: (?P<key>\S+)")
_NO_GROUP = re.compile(r"You must specify '(?P<group>[\w/]+)'")
_TWO_CHOICES = re.compile(
    r"Multiple values for (?P<group>[\w/]+)\. .* 'override [\w/]+: (?P<choice>[\w/]+)'"
)
_TWICE = re.compile(r"(?P<group>[\w/]+) appears more than once in the final defaults list")
_NO_FUNCTION = re.compile(r"Unknown function '(?P<name>\w+)'")
_SEVERAL = re.compile(r"Ambiguous value for argument '(?P<override>.*)'")
_NULL_GROUP = "group override must be"
_COMPOSING = "hydra._internal.config_loader_impl"


def is_hydra_error(error: BaseException) -> bool:
    """Whether Hydra, OmegaConf or YAML refuse a configuration with this error."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    # Hydra lets an error of YAML pass, which names the file
    refusals = (HydraException, OmegaConfBaseException, yaml.YAMLError)
    return isinstance(error, refusals) or _is_from_composing(error)


def explain(error: BaseException, root: Path) -> str:
    """Hydra's message about an override in one or two lines, with the nearest right name."""
    from hydra.errors import OverrideParseException

    if isinstance(error, yaml.YAMLError | UnicodeDecodeError):
        return _of_file(error, root)

    if isinstance(error, OverrideParseException):
        return _unreadable(error)

    chain = [error, error.__cause__, error.__context__]
    text = "\n".join(str(link) for link in chain if link)

    no_choice = _NO_CHOICE.search(text)
    if no_choice:
        group, choice = no_choice["group"], no_choice["choice"]
        return f"{group}={choice} does not exist.{nearest(choice, _choices(root, group))}"

    several = _SEVERAL.search(text)
    if several:
        return overrides.ambiguous(several["override"])

    two_choices = _TWO_CHOICES.search(text)
    if two_choices:
        group, choice = two_choices["group"], two_choices["choice"]
        return f"{group} has a choice already; replace it with {group}={choice}, without a '+'"

    twice = _TWICE.search(text)
    if twice:
        return _given_twice(twice["group"])

    no_key = _NO_KEY.search(text)
    if no_key:
        full_key = _FULL_KEY.search(text)
        return _unknown_key((full_key or no_key)["key"], root)

    no_group = _NO_GROUP.search(text)
    if no_group:
        return _nothing_chosen(no_group["group"], root)

    if _NULL_GROUP in text:
        return (
            "a group of conf/ was set to null; "
            "expected the name of one of its choices (--help lists them)"
        )
    if type(error) is ValueError:
        return f"a file of conf/ cannot be composed: {_first_two_lines(text)}"
    return _first_two_lines(text)


def _is_from_composing(error: BaseException) -> bool:
    """Whether Hydra raised it while it composed: of plain ValueErrors, the traceback alone says.

    Such are those about null for a group, a list of defaults, a header, and bytes that are no text.
    """
    if not isinstance(error, ValueError):
        return False
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_globals.get("__name__") == _COMPOSING for frame, _ in frames)


def _of_file(error: yaml.YAMLError | UnicodeDecodeError, root: Path) -> str:
    """The file that Hydra could not read, with line and column."""
    paths = sorted((root / "conf").rglob("*.yaml"))
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        paths = [Path(mark.name)]
    for path in paths:
        try:
            read.read(path)
        except UserError as mistake:
            return str(mistake)
    return f"a file of conf/ is no YAML: {' '.join(str(error).split())[:200]}"


def _unreadable(error: OverrideParseException) -> str:
    """An override that is no `key=value`, with the function that Hydra does not have."""
    function = _NO_FUNCTION.search(str(error))
    problem = f": there is no function {function['name']}" if function else ""
    return overrides.unreadable(error.override, problem)


def _given_twice(group: str) -> str:
    as_list = f", or several as a list: '{group}=[...]'" if group in SEVERAL else ""
    return f"{group}= and +{group}= are both given; give one of them{as_list}"


def _nothing_chosen(group: str, root: Path) -> str:
    """No experiment is named, and no choice of this group either."""
    return (
        f"no experiment chosen: add experiment=<{_alternatives(root, 'experiment')}>, "
        f"or name=... and each group, such as {group}=<{_alternatives(root, group)}>"
    )


def _unknown_key(key: str, root: Path) -> str:
    known = _keys_of_conf(root)
    if key.startswith("hydra."):
        known += _keys_of_hydra()

    section = key.partition(".")[0]
    if networks := _bringing(key, root):
        return (
            f"{key}= goes on from weights that the network brings; choose model={networks[0]}, or "
            f"another one whose file in conf/model names /{key}"
        )
    if key in known:
        return (
            f"unknown key '{key}': only another choice of {section}= has it; "
            "--cfg job shows the keys of this one"
        )
    inside = [name for name in known if name.startswith(f"{section}.")]
    close = nearest(key, inside if "." in key and inside else known)
    if section == "trainer" and "." in key:
        close += f" What conf/ does not name of Lightning's Trainer is added: +{key}=..."
    return f"unknown key '{key}'.{close}"


def _bringing(group: str, root: Path) -> list[str]:
    """The networks whose files bring a choice of a group that conf/config.yaml does not name."""
    networks = []
    for name in _choices(root, "model"):
        defaults = _mapping(root / "conf/model" / f"{name}.yaml").get("defaults", [])
        keys = [key for item in defaults if isinstance(item, Mapping) for key in item]
        networks += [name] * any(key.startswith(f"/{group}@") for key in keys)
    return networks


def _first_two_lines(text: str) -> str:
    lines = []
    for line in text.splitlines():
        if line.strip() and "HYDRA_FULL_ERROR" not in line:
            lines.append(line.strip())
    return " ".join(lines[:2])


def _alternatives(root: Path, group: str) -> str:
    return "|".join(_choices(root, group))


def _choices(root: Path, group: str) -> list[str]:
    """What a group offers: files of conf/, and what Hydra and its plugins have stored."""
    from hydra.core.config_store import ConfigStore

    names = choices(root / "conf" / group)
    with contextlib.suppress(OSError):  # Hydra has nothing stored for the group
        for name in ConfigStore.instance().list(group):
            if name.endswith(".yaml"):
                names.append(Path(name).stem)
    return sorted(names)


def _keys_of_hydra() -> list[str]:
    """Hydra's own keys, and those of its sweeper with all samplers and pruners."""
    from hydra.core.config_store import ConfigStore

    store = ConfigStore.instance()
    sweeper = "hydra/sweeper"
    nodes = [("hydra", "hydra/config"), ("hydra.sweeper", f"{sweeper}/optuna")]
    for part in ("sampler", "pruner"):
        for file in store.list(f"{sweeper}/{part}"):
            nodes.append((f"hydra.sweeper.{part}", f"{sweeper}/{part}/{Path(file).stem}"))

    keys = []
    for section, name in nodes:
        content = OmegaConf.to_container(store.load(f"{name}.yaml").node, resolve=False)
        keys += [f"{section}.{key}" for key in _overridable(content)]
    return keys


def _keys_of_conf(root: Path) -> list[str]:
    """Every dotted key that a YAML file of conf/ sets, and the names of the groups."""
    keys = {path.name for path in (root / "conf").iterdir() if path.is_dir()}
    for path in (root / "conf").rglob("*.yaml"):
        content = _mapping(path)
        content.pop("defaults", None)

        folder = path.parent.name
        prefix = "" if folder in ("conf", "experiment") else f"{folder}."
        if folder in SEVERAL:  # each under its name
            prefix += f"{path.stem}."
        for key in _overridable(content):
            if not key.startswith("_"):
                keys.add(f"{prefix}{key}")
    return sorted(keys)


def _mapping(path: Path) -> dict[str, Any]:
    """The keys and values of a file; none of a broken one, which is named where it is used."""
    try:
        return read.mapping(path)
    except UserError:
        return {}


def _overridable(content: object) -> list[str]:
    """The keys that an override can name: none inside a list."""
    return [key for key in tree.dotted_keys(content) if "[]" not in key]
