"""The winner of a sweep: the best trials again with several seeds, and of those that tie the
smallest network.

The values go to conf/tuned/<experiment>.yaml, which is taken up wherever the experiment is
composed.
"""

from __future__ import annotations

import datetime
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from goodfit.config import check, tree
from goodfit.system.files import write_text

if TYPE_CHECKING:
    import optuna

    from hydra_plugins.hydra_optuna_sweeper._sweep import Sweep

LEVEL = 0.975  # two-sided 95 %
# what a value that was given for the whole sweep belongs to the winner in; others, such as trainer,
# are circumstances
LEARNED = {"model", "task", "optimizer", "schedule", "loader", "augment", "average", "guard"}


@dataclass(frozen=True)
class Candidate:
    """A configuration with its validation score for each seed; `trial` is None for the values
    before the sweep.
    """

    trial: int | None
    overrides: tuple[str, ...]
    scores: tuple[float, ...] = ()
    parameters: int = 0

    @property
    def mean(self) -> float:
        """Over seeds."""
        return statistics.fmean(self.scores)

    @property
    def name(self) -> str:
        """How people are told of it."""
        return "the values before" if self.trial is None else f"trial {self.trial}"

    def __str__(self) -> str:
        low, high = interval(self.scores)
        return f"{self.name}: {self.mean:.4f} ({low:.4f} to {high:.4f}), {self.parameters:,} parameters"


def confirm(
    study: optuna.Study,
    sweep: Sweep,
    *,
    top: int,
    seeds: int,
    on_end: Callable[..., None] | None = None,
) -> list[str]:
    """Trains the `top` trials and the values before again, writes the winner's, and says what it
    found.

    Seeds are seed + 1, ...: not the one that the trials were chosen by, whose luck they have had.
    """
    maximize = study.direction.name == "MAXIMIZE"
    complete = [
        trial for trial in study.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"
    ]
    best = sorted(complete, key=lambda trial: trial.values[0], reverse=maximize)
    distinct = list(
        {tuple(trial.user_attrs["overrides"]): trial for trial in reversed(best)}.items()
    )[::-1][:top]
    candidates = [Candidate(None, tuple(item for item in sweep.space.fixed if not _learned(item)))]
    candidates += [Candidate(trial.number, overrides) for overrides, trial in distinct]
    numbers = [int(sweep.config.seed) + place for place in range(1, seeds + 1)]
    rows = [[*candidate.overrides, f"seed={seed}"] for candidate in candidates for seed in numbers]
    print(f"{len(candidates)} configurations are trained again with seeds {numbers}", flush=True)

    def tell(again: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        place = trial.params["row"]
        result = f"{trial.values[0]:.6g}" if trial.values else trial.state.name.lower()
        print(
            f"{candidates[place // seeds].name}, seed {numbers[place % seeds]}: {result}",
            flush=True,
        )
        if on_end:
            on_end(again, trial)

    ended = sweep.repeat(study, rows, tell)
    measured = []
    for place, candidate in enumerate(candidates):
        own = ended[place * seeds : (place + 1) * seeds]
        if all(
            trial.state.name == "COMPLETE" for trial in own
        ):  # one that fails with some seed is no winner
            scores = tuple(trial.values[0] for trial in own)
            measured.append(
                Candidate(
                    candidate.trial, candidate.overrides, scores, own[0].user_attrs["parameters"]
                )
            )
    if not measured:
        return ["no configuration could be trained again with every seed; nothing is written"]
    winner, tied = choose(measured, maximize=maximize)
    return [*_told(measured, tied, winner, numbers), _kept(study, sweep, measured, winner, numbers)]


def choose(measured: Sequence[Candidate], *, maximize: bool) -> tuple[Candidate, list[Candidate]]:
    """The smallest of those that tie with the best mean, and all that tie.

    One ties where the 95 % t-interval of its difference from the best, paired by seed, holds zero
    (Student 1908), and its mean lies in the interval of the best: a spread of its own is no merit.
    """
    sign = 1.0 if maximize else -1.0
    best = max(measured, key=lambda item: sign * item.mean)
    near = [item for item in measured if within(item.mean, interval(best.scores))]
    tied = [item for item in near if within(0.0, interval(_differences_by_seed(best, item)))]
    return min(tied, key=lambda item: (item.parameters, -sign * item.mean)), tied


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % t-interval of the mean of at least two values."""
    from scipy.stats import t

    middle = statistics.fmean(values)
    half = float(t.ppf(LEVEL, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5
    return middle - half, middle + half


def within(value: float, bounds: tuple[float, float]) -> bool:
    """Whether an interval, ends included, holds a value."""
    return bounds[0] <= value <= bounds[1]


def _differences_by_seed(one: Candidate, other: Candidate) -> list[float]:
    return [a - b for a, b in zip(one.scores, other.scores, strict=True)]


def write(
    path: Path,
    own: dict[str, Any],
    found: dict[str, Any],
    groups: dict[str, str],
    header: Sequence[str],
) -> int:
    """Writes the values of `found` that differ from the experiment's `own`; returns how many.

    Keys are dotted.
    """
    tree: dict[str, Any] = {}
    differing = {key: value for key, value in found.items() if own.get(key) != value}
    for key, value in differing.items():
        *branches, leaf = key.split(".")
        node = tree
        for branch in branches:
            node = node.setdefault(branch, {})
        node[leaf] = value
    defaults = [{f"override /{group}": choice} for group, choice in groups.items()]
    content = ({"defaults": defaults} if defaults else {}) | tree
    lines = [
        "# @package _global_",
        *(f"# {line}" for line in header),
        yaml.safe_dump(content, sort_keys=False),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, "\n".join(lines))
    return len(differing) + len(groups)


def _kept(
    study: optuna.Study,
    sweep: Sweep,
    measured: Sequence[Candidate],
    winner: Candidate,
    seeds: Sequence[int],
) -> str:
    experiment = sweep.config.hydra.runtime.choices.get("experiment")
    if winner.trial is None:
        return "the values before the sweep stand: no smaller or better network was found; nothing is written"
    if not experiment:
        return "no experiment was named, so no file in conf/tuned/ is written"
    path = Path("conf/tuned", f"{experiment}.yaml")
    own, found, groups = _differences(sweep, winner, experiment, path)
    before = next((item for item in measured if item.trial is None), None)
    fixed = [
        item
        for item in sweep.space.fixed
        if item.partition("=")[0] not in ("experiment", "search") and not _learned(item)
    ]
    counts = {
        state: sum(t.state.name == state for t in study.trials)
        for state in ("COMPLETE", "PRUNED", "FAIL")
    }
    header = [
        f"Values that a sweep found; delete this file to go back to conf/experiment/{experiment}.yaml.",
        f"val/{sweep.config.task.monitor} over seeds {seeds[0]} to {seeds[-1]}, {winner}.",
        f"In comparison, {before}."
        if before
        else "The values before could not be trained with every seed.",
        f"Study {study.study_name}, {counts['COMPLETE']} trials complete, {counts['PRUNED']} pruned, "
        f"{counts['FAIL']} failed; {datetime.datetime.now(tz=datetime.UTC).date()}.",
        *([f"Searched with {' '.join(fixed)}."] if fixed else []),
    ]
    earlier = path.read_text() if path.exists() else None
    count = write(path, own, found, groups, header)
    try:
        plain = sweep.context.config_loader.load_configuration(
            "config", [f"experiment={experiment}", f"tuned={experiment}"], RunMode.RUN
        )
        check.check(OmegaConf.create(tree.frozen(plain)))
    except Exception as error:  # whatever a later `dvc repro` would stop at
        path.unlink() if earlier is None else write_text(path, earlier)
        return f"the values of trial {winner.trial} make no configuration by themselves, nothing is written: {error}"
    return f"{path} holds the {count} values of trial {winner.trial}; `dvc repro` takes them up, deleting it goes back"


def _differences(
    sweep: Sweep, winner: Candidate, experiment: str, path: Path
) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    """The experiment's own values, those of the winner, and groups of which it chose another file.

    An earlier sweep's values, with which this one's trials were trained, are part of what was
    found.
    """
    loader = sweep.context.config_loader
    job = loader.load_sweep_config(sweep.config, list(winner.overrides))
    before = yaml.safe_load(path.read_text()) if path.exists() else {}
    choices = {
        key.removeprefix("override /"): choice
        for item in before.pop("defaults", [])
        for key, choice in item.items()
    }
    given = {_key(item) for item in winner.overrides if _learned(item)}
    searched = {_key(item) for item in winner.overrides} & sweep.space.keys() | given
    groups = {key for key in searched if Path("conf", key).is_dir()}
    choices |= {group: str(job.hydra.runtime.choices[group]) for group in groups}
    plain = [f"experiment={experiment}"]
    base = loader.load_configuration("config", plain, RunMode.RUN)
    swapped = [f"{group}={choice}" for group, choice in choices.items()]
    chosen = loader.load_configuration("config", [*plain, *swapped], RunMode.RUN)
    different = {group: choice for group, choice in choices.items() if base[group] != chosen[group]}
    keys = [*_dotted(before), *sorted(searched - groups)]
    return _selected(chosen, keys), _selected(job, keys), different


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def _learned(override: str) -> bool:
    """Whether an override says how to learn, and is no part of the circumstances."""
    return _key(override).partition(".")[0] in LEARNED and not override.startswith("~")


def _selected(cfg: DictConfig, keys: Sequence[str]) -> dict[str, Any]:
    return {key: OmegaConf.select(cfg, key) for key in keys}


def _dotted(content: dict[str, Any], prefix: str = "") -> list[str]:
    found = []
    for key, value in content.items():
        found += (
            _dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]
        )
    return found


def _told(
    measured: Sequence[Candidate],
    tied: Sequence[Candidate],
    winner: Candidate,
    seeds: Sequence[int],
) -> list[str]:
    lines = [f"validation over seeds {seeds[0]} to {seeds[-1]}, mean and 95 % interval:"]
    for item in measured:
        mark = (
            "chosen, the smallest of those that tie"
            if item is winner
            else "ties"
            if item in tied
            else "worse"
        )
        lines.append(f"- {item}: {mark}")
    return lines
