"""conf/tuned/<experiment>.yaml: the values of a sweep's winner.

The file is taken up wherever the experiment is composed.
Docs: docs/decisions/0011-winners-of-sweeps.md.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from goodfit.config import check, gallery, regularization, tree
from goodfit.search import length
from goodfit.system.files import write_text

if TYPE_CHECKING:
    import optuna

    from goodfit.search.candidate import Candidate
    from hydra_plugins.hydra_optuna_sweeper._sweep import Sweep

_FOLDER = Path("conf/tuned")
# a value of these sections that was given for the whole sweep belongs to the winner; of others,
# such as trainer, it is a circumstance of the search
_LEARNED = {
    "model",
    "task",
    "optimizer",
    "parameters",
    "schedule",
    "loader",
    "augment",
    "average",
    "regularization",
    "sharpness",
    "guard",
}


@dataclass(frozen=True)
class Values:
    """Values by dotted name: the experiment's and the winner's.

    `groups` has the choice of each config group of which the winner takes another file; the
    experiment's values are those with these files.
    """

    experiment: dict[str, Any]
    winner: dict[str, Any]
    groups: dict[str, str]


def save(
    study: optuna.Study,
    sweep: Sweep,
    winner: Candidate,
    before: Candidate | None,
    seeds: Sequence[int],
) -> str:
    """Writes the winner's values, unless they make no configuration; says in a line what it did.

    `before` has the scores of the values before the sweep, None where some seed failed.
    """
    experiment = sweep.config.hydra.runtime.choices.get("experiment")
    if not experiment:
        return "no experiment was named, so no file in conf/tuned/ is written"

    path = _FOLDER / f"{experiment}.yaml"
    earlier = path.read_text() if path.exists() else None
    values = _compare(sweep, winner, experiment, earlier)
    count = write(path, values, _header(study, sweep, experiment, winner, before, seeds))
    # a value may need what the file does not hold, as a momentum needs its optimizer
    try:
        plain = sweep.context.config_loader.load_configuration(
            "config", [f"experiment={experiment}", f"tuned={experiment}"], RunMode.RUN
        )
        chosen = [f"experiment={experiment}", f"tuned={experiment}"]
        content, _ = regularization.settled(plain, chosen)
        check.check(OmegaConf.create(content))
    except Exception as error:  # whatever a later `dvc repro` would stop at
        if earlier is None:
            path.unlink()
        else:
            write_text(path, earlier)
        return (
            f"the values of trial {winner.trial} make no configuration by themselves, "
            f"nothing is written: {error}"
        )
    return (
        f"{path} holds the {count} values of trial {winner.trial}; "
        f"`{gallery.command('register', experiment)}` takes them up, deleting it goes back"
    )


def write(path: Path, values: Values, header: Sequence[str]) -> int:
    """Writes the winner's values that differ from the experiment's; gives their number."""
    defaults = [{f"override /{group}": choice} for group, choice in values.groups.items()]
    content: dict[str, Any] = {"defaults": defaults} if defaults else {}
    differing = 0
    for key, value in values.winner.items():
        if values.experiment.get(key) != value:
            _set(content, key, value)
            differing += 1

    lines = [
        "# @package _global_",
        *(f"# {line}" for line in header),
        yaml.safe_dump(content, sort_keys=False),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, "\n".join(lines))
    return differing + len(values.groups)


def is_learned(override: str) -> bool:
    """Whether an override says how to learn, and is no circumstance of the search."""
    section = length.key_of(override).partition(".")[0]
    return section in _LEARNED and not override.startswith("~")


def _compare(sweep: Sweep, winner: Candidate, experiment: str, earlier: str | None) -> Values:
    """What the winner changed of the experiment.

    The values of an earlier sweep's file, with which this one's trials were trained, belong to what
    the winner changed.
    """
    loader = sweep.context.config_loader
    job = loader.load_sweep_config(sweep.config, list(winner.overrides))
    content = yaml.safe_load(earlier or "") or {}
    groups = {}
    for entry in content.pop("defaults", []):
        for key, choice in entry.items():
            groups[key.removeprefix("override /")] = choice

    searched = sweep.space.keys()
    changed = set()
    for override in winner.overrides:
        if length.key_of(override) in searched or is_learned(override):
            changed.add(length.key_of(override))
    changed_groups = {key for key in changed if Path("conf", key).is_dir()}
    for group in sorted(changed_groups):
        groups[group] = str(job.hydra.runtime.choices[group])

    plain = [f"experiment={experiment}"]
    chosen = [f"{group}={choice}" for group, choice in groups.items()]
    own = loader.load_configuration("config", plain, RunMode.RUN)
    own_with_groups = loader.load_configuration("config", [*plain, *chosen], RunMode.RUN)
    for group in list(groups):
        if own[group] == own_with_groups[group]:
            del groups[group]

    keys = [*tree.dotted(content), *sorted(changed - changed_groups)]
    return Values(_select(own_with_groups, keys), _select(job, keys), groups)


def _header(
    study: optuna.Study,
    sweep: Sweep,
    experiment: str,
    winner: Candidate,
    before: Candidate | None,
    seeds: Sequence[int],
) -> list[str]:
    """Where the values come from, in the lines of a comment."""
    comparison = "The values before could not be trained with every seed."
    if before:
        comparison = f"In comparison, {before}."
    states = Counter(trial.state.name for trial in study.trials)
    today = datetime.datetime.now(tz=datetime.UTC).date()
    lines = [
        "Values that a sweep found; "
        f"delete this file to go back to conf/experiment/{experiment}.yaml.",
        f"val/{sweep.config.task.monitor} over seeds {seeds[0]} to {seeds[-1]}, {winner}.",
        comparison,
        f"Study {study.study_name}, {states['COMPLETE']} trials complete, "
        f"{states['PRUNED']} pruned, {states['FAIL']} failed; {today}.",
    ]

    own_length = length.own(sweep)
    if own_length.own:
        lines.append(f"It was {own_length}.")

    circumstances = []
    for override in sweep.space.fixed:
        named = override.partition("=")[0] in ("experiment", "search")
        if not named and not is_learned(override):
            circumstances.append(override)
    if circumstances:
        lines.append(f"Searched with {' '.join(circumstances)}.")
    return lines


def _set(content: dict[str, Any], dotted: str, value: Any) -> None:
    """Puts a value into nested dictionaries, at its dotted name."""
    *branches, leaf = dotted.split(".")
    node = content
    for branch in branches:
        node = node.setdefault(branch, {})
    node[leaf] = value


def _select(cfg: DictConfig, keys: Sequence[str]) -> dict[str, Any]:
    return {key: OmegaConf.select(cfg, key) for key in keys}
