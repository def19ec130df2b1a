"""Whether more data would help: an experiment trained on shares of its own train."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from goodfit.errors import UserError
from goodfit.records.curve import LearningCurve
from goodfit.repeats.curve import FEWEST_SHARES, FILE, curve, shares_of
from goodfit.repeats.pool import pool
from goodfit.reporting import learning_curve_picture
from goodfit.reporting.learning_curve import lines
from goodfit.stages import studies
from goodfit.stages.asked import check_prepared, composed, divided
from goodfit.tracking import runs

_USAGE = """\
python pipelines/learning_curve.py experiment=<name> [group.key=value] [seeds=3]
                                   [shares=0.1,0.2,0.4,0.7,1]

Trains on shares of train, whole independent units of it, with each seed, fits the baselines on the
same samples, and says what twice the data would bring, with an interval. Test is never opened."""
_SHARES = (0.1, 0.2, 0.4, 0.7, 1.0)
_FEWEST_SEEDS = 2  # of one, no spread is known
_MOST_SEEDS = 1000
PICTURE = "curve.png"


@dataclass(frozen=True)
class _Asked:
    """What the command line asks for: overrides of conf/, and two options beside them."""

    overrides: tuple[str, ...]
    shares: tuple[float, ...]
    seeds: int


def main() -> int:
    """Prints the table of scores by share, what twice the data would bring, and how sure that is.

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
    cfg = composed(asked.overrides)
    if cfg.loader.share != 1:
        raise UserError(f"loader.share={cfg.loader.share}: the shares of a curve are shares=...")
    if cfg.trainer.get("num_nodes", 1) > 1:
        raise UserError(f"trainer.num_nodes={cfg.trainer.num_nodes}: a curve takes one machine")
    if cfg.resume == "must":
        raise UserError(
            "resume=must is about one training; a curve goes on by itself, and resume=never starts "
            "anew"
        )
    check_prepared(cfg)
    with pool(cfg, len(asked.shares) * asked.seeds) as workers:
        shares = shares_of(cfg, asked.shares, asked.seeds)
        found, root = curve(cfg, shares, asked.overrides, workers)
    learning_curve_picture.save(found, root / PICTURE)
    told = lines(found)
    _log(str(cfg.tracking.uri), root, found, told)
    print("\n".join(told))
    studies.keep_curve(found, root / PICTURE, asked.overrides)
    print(f"picture: {root / PICTURE}; run {found.run_id}")
    return 0


def _asked(arguments: Sequence[str]) -> _Asked:
    """The options, and what is left for conf/.

    Raises:
        UserError: an option is no such value.
    """
    given, overrides = divided(arguments, ("seeds", "shares"))
    seeds = given.get("seeds", "3")
    if not seeds.isdecimal() or not _FEWEST_SEEDS <= int(seeds) <= _MOST_SEEDS:
        raise UserError(f"seeds={seeds}: expected a number from {_FEWEST_SEEDS} to {_MOST_SEEDS}")
    shares = _shares(given["shares"]) if "shares" in given else _SHARES
    return _Asked(overrides, shares, int(seeds))


def _shares(text: str) -> tuple[float, ...]:
    """Numbers above 0 and up to 1, rising, each once.

    Raises:
        UserError: there are fewer than two, or one is none.
    """
    shares = []
    for part in text.strip("[]").split(","):
        try:
            share = float(part)
        except ValueError:
            share = math.nan
        if not 0 < share <= 1:
            raise UserError(
                f"shares={text}: '{part.strip()}' is no share of train, which is above 0 and at "
                "most 1, as in shares=0.1,0.2,0.4,0.7,1"
            )
        shares.append(share)
    if len(set(shares)) < FEWEST_SHARES:
        raise UserError(
            f"shares={text}: a curve takes {FEWEST_SHARES} different shares at least, as in "
            "shares=0.1,0.2,0.4,0.7,1"
        )
    return tuple(sorted(set(shares)))


def _log(uri: str, root: Path, found: LearningCurve, told: Sequence[str]) -> None:
    """The means, what is foretold, the files and the text, for the parent run."""
    run = runs.find(uri, found.run_id)
    assert run is not None  # its trainings have just been nested in it
    row = {}
    for method, name in ((found.network, "network"), (found.strong, "strong")):
        foretold = {"doubled": method.doubled, "gain": method.gain}
        for what, interval in foretold.items():
            for end in ("value", "low", "high"):
                row[f"curve_{name}_{what}_{end}"] = getattr(interval, end)
        for size, mean in zip(found.sizes, method.means, strict=True):
            row[f"curve_{name}_{found.score}_{size.share:g}"] = mean.value
    with runs.run_status(run):
        run.log({key: value for key, value in row.items() if math.isfinite(value)})
        run.flush()
        text = "\n".join(told)
        run.client.set_tag(run.run_id, "mlflow.note.content", f"```\n{text}\n```")
        for name in (FILE, PICTURE):
            run.client.log_artifact(run.run_id, str(root / name), "curve")
