"""The experiments that params.yaml does not name: each has stages here once it has been asked for.

DVC looks at every dvc.yaml of a repository, so the gallery's own lists nothing in a fresh clone:
its experiments are in gallery/params.yaml, which git ignores and DVC reads where it is there.

Docs: docs/decisions/0022-gallery.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import yaml

from goodfit.config import params, read
from goodfit.errors import UserError, nearest
from goodfit.system.files import write_text
from goodfit.system.names import check_experiment

PIPELINE = Path("gallery/dvc.yaml")
ACTIVE = Path("gallery/params.yaml")
_ROOT_PIPELINE = Path("dvc.yaml")
_ITEM = "${item.experiment}"
_LAST = "register"  # it needs, directly or not, every other stage of its experiment

_HEAD = """\
# Made from dvc.yaml by `make repro ONLY=<names>`: edit that one.
#
# The same stages for experiments that params.yaml does not name. gallery/params.yaml, which git
# ignores, adds to `experiments` those that were asked for here.
"""


def known() -> list[str]:
    """The names of all experiments of conf/experiment/, sorted."""
    return sorted(path.stem for path in Path("conf/experiment").glob("*.yaml"))


def active() -> list[str]:
    """The experiments that have been asked for here; none in a fresh clone.

    Raises:
        UserError: gallery/params.yaml cannot be read.
    """
    if not ACTIVE.exists():
        return []
    advice = f"delete {ACTIVE}, `make repro ONLY=<names>` makes it"
    try:
        names = read.mapping(ACTIVE).get("experiments")
    except UserError as error:
        raise UserError(f"{error}; {advice}") from None
    if not isinstance(names, dict):
        raise UserError(f"{ACTIVE}: experiments is {names!r}; expected names; {advice}")
    return [str(name) for name in names]


def targets(names: Sequence[str]) -> list[str]:
    """What `dvc repro` is told to reproduce, for each name once; nothing where none is named.

    Raises:
        UserError: an experiment that is named, here or by params.yaml, does not exist, or that
            cannot be read.
    """
    existing = known()
    in_params = params.experiments()
    where = "" if names else f"{params.PARAMS}: "
    for name in names or in_params:
        check_experiment(name, where)
        if name not in existing:
            raise UserError(f"{where}experiment '{name}' does not exist.{nearest(name, existing)}")
    if not names and not in_params:
        # `dvc repro` would run those of the gallery
        raise UserError(f"{params.PARAMS}: experiments names none; `make repro ONLY=<name>`")
    check_overridden()

    wanted = []
    for name in dict.fromkeys(names):
        wanted.append(_target(_LAST, name, in_gallery=name not in in_params))
    return wanted


def check_overridden() -> None:
    """Each name that params.yaml has overrides for is an experiment: a typo would change nothing.

    Raises:
        UserError: one is none, or params.yaml cannot be read.
    """
    existing = known()
    for name in params.overridden():
        if name not in existing:
            raise UserError(
                f"{params.PARAMS}: overrides of '{name}', an experiment that does not exist."
                f"{nearest(name, existing)}"
            )


def activate(names: Iterable[str]) -> None:
    """Gives those of `names` that params.yaml does not name their stages in gallery/dvc.yaml.

    An experiment that params.yaml names by now leaves the gallery, for DVC refuses an output that
    two stages make; so does one whose file in conf/experiment/ is gone.

    Raises:
        UserError: params.yaml, dvc.yaml or gallery/params.yaml cannot be read.
    """
    before = active()
    in_params = params.experiments()
    existing = set(known())
    wanted = []
    for name in dict.fromkeys([*before, *names]):
        if name in existing and name not in in_params:
            wanted.append(name)

    if wanted:
        _write_changed(PIPELINE, pipeline())
    if wanted != before:
        # a mapping: DVC merges it into the empty one of gallery/dvc.yaml, and refuses a second list
        content = {"experiments": {name: {"experiment": name} for name in wanted}}
        write_text(ACTIVE, yaml.safe_dump(content, sort_keys=False))


def pipeline() -> str:
    """The content of gallery/dvc.yaml: the stages of dvc.yaml, in the folder above.

    Raises:
        UserError: dvc.yaml cannot be read.
    """
    try:
        stages = read.mapping(_ROOT_PIPELINE)["stages"]
        looped = {}
        for name, stage in stages.items():
            body = {key: value for key, value in stage.items() if key != "matrix"}
            looped[name] = {"foreach": "${experiments}", "do": {"wdir": "..", **body}}
    except (TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{_ROOT_PIPELINE} describes no stages: {error!r}") from None

    content = {"vars": [{"experiments": {}}], "stages": looped}
    return _HEAD + yaml.safe_dump(content, sort_keys=False, width=100)


def check_watched(files: Iterable[Path], experiment: str) -> None:
    """DVC sees an edit of each of these files: the stage compose depends on it.

    Raises:
        UserError: one of them is not among the dependencies in dvc.yaml, or that cannot be read.
    """
    try:
        dependencies = read.mapping(_ROOT_PIPELINE)["stages"]["compose"]["deps"]
        watched = {Path(text.replace(_ITEM, experiment)) for text in dependencies}
    except (TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{_ROOT_PIPELINE} has no deps of a stage compose: {error!r}") from None
    for file in files:
        if not watched & {file, *file.parents}:
            folder = file if file.parent.name == "experiment" else file.parent
            raise UserError(
                f"{experiment} uses {file}, whose edits DVC would not see; "
                f"add {folder} to the deps of the stage compose in {_ROOT_PIPELINE}"
            )


def command(stage: str, experiment: str) -> str:
    """The command that makes what a stage of an experiment makes, as a message advises it.

    Raises:
        UserError: params.yaml or gallery/params.yaml cannot be read.
    """
    if experiment in active():
        return f"dvc repro {_target(stage, experiment, in_gallery=True)}"
    if experiment in known() and experiment not in params.experiments():
        return f"make repro ONLY={experiment}"
    return f"dvc repro {_target(stage, experiment, in_gallery=False)}"


def _target(stage: str, experiment: str, *, in_gallery: bool) -> str:
    return f"{PIPELINE}:{stage}@{experiment}" if in_gallery else f"{stage}@{experiment}"


def _write_changed(path: Path, text: str) -> None:
    if path.exists() and path.read_text() == text:
        return
    path.parent.mkdir(exist_ok=True)
    write_text(path, text)
