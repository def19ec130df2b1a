"""How well an experiment fits, and which remedies make it fit better, by validation alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from omegaconf import DictConfig

from goodfit.config import tree
from goodfit.errors import UserError
from goodfit.evaluation.fit import judged
from goodfit.launch import devices, resume
from goodfit.paths import Paths
from goodfit.predictor import Predictor
from goodfit.records import Evaluation, Training
from goodfit.records.diagnosed import Diagnosed, Treated
from goodfit.records.fit import Fit, Judgement
from goodfit.repeats import result
from goodfit.repeats.compare import WORDS
from goodfit.repeats.pool import Pool, pool
from goodfit.repeats.train import place, repeat
from goodfit.repeats.treat import Tried, mean_gap, treat
from goodfit.reporting.fit import UNDEFINED, told
from goodfit.search import tuned
from goodfit.stages import studies
from goodfit.stages.asked import check_prepared, composed, divided
from goodfit.stages.first_checks import check_first_batch, check_shuffled
from goodfit.store.manifest import verify
from goodfit.store.relabelled import SAMPLE
from goodfit.system import units

_USAGE = """\
python pipelines/diagnose.py experiment=<name> [group.key=value] [seeds=3] [keep=true]
python pipelines/diagnose.py experiment=<name> [group.key=value] first_batch=true
python pipelines/diagnose.py experiment=<name> [group.key=value] shuffled=true

Says how well the experiment fits, and trains each remedy with the same seeds, compared on the same
validation. keep=true writes the best one that is no tie to conf/tuned/<name>.yaml. Test is never
opened.

first_batch=true looks whether the network can learn sixteen samples by heart, shuffled=true whether
it falls to chance on shuffled targets, shuffled=<column> on such that all rows of a value share.
Both train without regularization and for a short time, and end with 1 where they find a fault."""
_OPTIONS = ("seeds", "keep", "first_batch", "shuffled")
_FEWEST_SEEDS = 2  # of one, no spread is known


@dataclass(frozen=True)
class _Asked:
    """What the command line asks for: overrides of conf/, and two options beside them."""

    overrides: tuple[str, ...]
    seeds: int = 3
    keep: bool = False
    first_batch: bool = False
    shuffled: str | None = None  # by which unit


def main() -> int:
    """Prints the judgement, then a row for each remedy: score, by how much it is better, gap.

    Raises:
        UserError: an override or option makes no sense, or nothing is prepared to train on.
        FailureError: a training could not be finished.
    """
    arguments = sys.argv[1:]
    if not arguments or {"-h", "--help"} & set(arguments):
        print(_USAGE)
        return 0
    os.chdir(Path(sys.argv[0]).resolve().parents[1])
    asked = _asked(arguments)
    if asked.first_batch or asked.shuffled:
        _check(asked)
        return 0
    cfg = composed(asked.overrides)
    check_prepared(cfg)
    with pool(cfg, asked.seeds) as workers:
        _diagnose(cfg, asked, workers)
    return 0


def _diagnose(cfg: DictConfig, asked: _Asked, workers: Pool) -> None:
    judgement = _judgement(cfg, asked, workers)
    if judgement is None:
        print(UNDEFINED)
        return
    print(f"{judgement.fit}: {' '.join(told(judgement))}", flush=True)
    remedies = _to_try(judgement)
    if not remedies:
        print(_nothing_to_try(judgement))
        return
    tried = treat(composed, asked.overrides, remedies, asked.seeds, workers)
    found = _diagnosed(cfg, asked, judgement, tried)
    print("\n".join(lines(found)))
    _conclude(cfg, asked, tried)
    studies.keep_diagnosed(found, asked.overrides)


def lines(found: Diagnosed) -> list[str]:
    """The table: what was, and each remedy beside it."""
    width = max(len("as it is"), *(len(item.override) for item in found.treated))
    gap = units.number(found.gap, 3, sign=True)
    rows = [f"{'as it is':<{width}}  {found.score} {found.before.text()}; gap {gap}"]
    for item in found.treated:
        by, gap = item.better.text(sign=True), units.number(item.gap, 3, sign=True)
        score = f"{found.score} {item.score.text()}, better by {by}: {item.word}"
        rows.append(f"{item.override:<{width}}  {score}; gap {gap}")
    return [*rows, f"  on {found.on}; it counts {found.counts}"]


def _diagnosed(
    cfg: DictConfig, asked: _Asked, judgement: Judgement, tried: Sequence[Tried]
) -> Diagnosed:
    """What was found, for a terminal, the page, and MLflow."""
    there, before = place(cfg, folds=None, seeds=asked.seeds), tried[0].compared
    treated = []
    for item in tried:
        each = item.compared
        treated.append(
            Treated(
                override=item.override,
                score=each.first,
                better=each.difference.interval,
                outcome=each.outcome,
                word=each.few or f"{WORDS[each.outcome]} what was",
                gap=item.gap,
            )
        )
    return Diagnosed(
        experiment=str(cfg.name),
        data_sha256=verify(Paths(cfg.name).prepared, "train", "validation").sha256,
        fit=judgement.fit,
        sentences=tuple(told(judgement)),
        score=before.score,
        before=before.second,
        gap=mean_gap(cfg, asked.seeds),
        treated=tuple(treated),
        on=before.on,
        counts=before.counts,
        run_id=result.read(there.root)[0].run_id,
    )


def _asked(arguments: Sequence[str]) -> _Asked:
    """The options, and what is left for conf/.

    Raises:
        UserError: an option is no such value.
    """
    given, overrides = divided(arguments, _OPTIONS)
    seeds, shuffled = given.get("seeds", "3"), given.get("shuffled", "false")
    if not seeds.isdecimal() or int(seeds) < _FEWEST_SEEDS:
        raise UserError(f"seeds={seeds}: expected a number of at least {_FEWEST_SEEDS}")
    keep = _is_true("keep", given)
    if keep and len(overrides) > 1:
        raise UserError(
            f"keep=true writes for the experiment as it is; leave out {' '.join(overrides[1:])}"
        )
    by = {"true": SAMPLE, "false": None}.get(shuffled, shuffled)
    return _Asked(overrides, int(seeds), keep, _is_true("first_batch", given), by)


def _is_true(name: str, given: Mapping[str, str]) -> bool:
    value = given.get(name, "false")
    if value not in ("true", "false"):
        raise UserError(f"{name}={value}: expected true or false")
    return value == "true"


def _check(asked: _Asked) -> None:
    """The two checks before hours are spent, without what keeps a network from learning by heart.

    Raises:
        UserError: nothing is prepared, an option makes no sense, or network and data do not fit.
        FailureError: a check has found a fault.
    """
    given = [item for item in asked.overrides if not item.startswith("regularization=")]
    cfg = composed([*given, "regularization=none"])
    check_prepared(cfg)
    if asked.first_batch:
        check_first_batch(cfg)
    if asked.shuffled:
        check_shuffled(cfg, asked.shuffled)


def _judgement(cfg: DictConfig, asked: _Asked, workers: Pool) -> Judgement | None:
    """That of evaluate where it measured the experiment as it is; else of the first seed's weights.

    Evaluate knows the strong baseline, too.
    """
    found = _evaluated(cfg)
    if found:
        return found.fit
    before = repeat(cfg, folds=None, seeds=asked.seeds, overrides=asked.overrides, pool=workers)
    model = place(cfg, folds=None, seeds=asked.seeds).models[0]
    print("\n".join(before.lines()), flush=True)
    return judged(cfg, Paths(cfg.name).prepared, model, Predictor.load(model), strong=None)


def _evaluated(cfg: DictConfig) -> Evaluation | None:
    """What evaluate measured of a training of this configuration on the data that are there.

    By what decides a training, not by its weights: their last digits depend on the number of cores.
    """
    paths, config = Paths(cfg.name), Paths(cfg.name).model / "config.yaml"
    if not (paths.evaluation / "evaluation.json").is_file() or not config.is_file():
        return None
    found = Evaluation.read(paths.evaluation / "evaluation.json")
    manifest = verify(paths.prepared, "train", "validation")
    of_weights = Training.read(paths.model / "train.json").weights_sha256
    decisive = [
        resume.facts(each, manifest, devices.world(each))
        for each in (devices.resolved(cfg), tree.load(config))
    ]
    is_same = (
        decisive[0] == decisive[1]
        and found.weights_sha256 == of_weights
        and found.test_sha256 == manifest.test_sha256
    )
    return found if is_same else None


def _to_try(judgement: Judgement) -> list[str]:
    """The overrides of the remedies; to hold out all samples in turn is none."""
    if judgement.fit is Fit.TOO_FEW:
        return []
    return [item.override for item in judgement.remedies]


def _nothing_to_try(judgement: Judgement) -> str:
    if judgement.fit is Fit.LEAK:
        return "No training mends that: the data card says what answers it."
    if judgement.fit is Fit.TOO_FEW:
        return "No remedy can be judged on so few; python pipelines/train.py ... cv=5 says more."
    return "There is nothing to treat."


def _conclude(cfg: DictConfig, asked: _Asked, tried: Sequence[Tried]) -> None:
    """The best remedy that is no tie, and what keeps it."""
    better = [item for item in tried if item.compared.outcome > 0]
    if not better:
        print("None is better than what was beyond chance.")
        return
    best = max(better, key=lambda item: item.compared.difference.interval.value)
    if not asked.keep:
        print(f"{best.override} is better; keep=true writes it to conf/tuned/{cfg.name}.yaml")
        return
    print(f"{_keep(cfg, best, asked.seeds)} holds {best.override}; deleting it goes back")


def _keep(cfg: DictConfig, best: Tried, seeds: int) -> Path:
    """Adds the remedy to what is tuned of the experiment."""
    path = Path("conf/tuned") / f"{cfg.name}.yaml"
    content = yaml.safe_load(path.read_text()) if path.exists() else None
    groups: dict[str, str] = {}
    for entry in (content or {}).pop("defaults", []):
        groups |= {key.removeprefix("override /"): choice for key, choice in entry.items()}
    values = tree.dotted(content) if content else {}
    key, _, value = best.override.partition("=")
    if Path("conf", key).is_dir():
        groups[key] = value
    else:
        values[key] = yaml.safe_load(value)
    found = best.compared
    header = [
        f"{best.override} made it fit better: {found.score} {found.first.text()} on validation, "
        f"{found.second.text()} before,",
        f"better by {found.difference.interval.text(sign=True)} over {seeds} seeds; "
        f"delete this file to go back to conf/experiment/{cfg.name}.yaml.",
    ]
    tuned.write(path, tuned.Values({}, values, groups), header)
    return path
