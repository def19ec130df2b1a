"""`make verdicts`: planted cases through prepare, training and judgement, and how they are named.

What was measured of a case is kept in build/verdicts/, so that `--told` names it again by other
rules without a training. Docs: docs/overfitting.md.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from benchmarks.verdict_cases import CASES, Case
from benchmarks.verdict_data import EXPERIMENTS
from goodfit.cli import guarded
from goodfit.errors import UserError, nearest
from goodfit.evaluation.fit import kind
from goodfit.records.fit import Fit, Judgement
from goodfit.reporting.fit import line

RESULTS = Path("build/verdicts")
_SEEDS = 3
_ROWS = [Fit.GOOD, Fit.UNDERFIT, Fit.DEGENERATE, Fit.OVERFIT, Fit.LEAK, Fit.TOO_FEW]


class Named(NamedTuple):
    """The word that a case got with a seed, those that are right for it, and the sentence."""

    case: Case
    right: tuple[Fit, ...]
    seed: int
    word: Fit
    said: str

    @property
    def is_right(self) -> bool:
        return self.word in self.right


def main() -> None:
    """Trains the cases that are named, all where none is, and prints how they were named.

    Raises:
        UserError: no case has that name.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdicts", description=__doc__)
    parser.add_argument("cases", nargs="*", help="names of cases; all where none is named")
    parser.add_argument("--seeds", type=int, default=_SEEDS, help="trainings of each case")
    parser.add_argument("--told", action="store_true", help="of what was measured before")
    asked = parser.parse_args()
    root, cases = Path.cwd(), chosen(asked.cases)
    if asked.seeds < 1:
        raise UserError(f"--seeds {asked.seeds}: expected at least 1")
    if not asked.told:
        fetched()
        with TemporaryDirectory() as place, contextlib.chdir(place):
            for case in cases:
                for seed in range(asked.seeds):
                    _measure(root, case, seed)
    named = list(_named(root, cases, asked.seeds))
    print("\n".join(table(named)))
    missing = len(cases) * asked.seeds - len(named)
    if missing:
        print(f"Not measured here: {missing} of {len(cases) * asked.seeds}.")


def fetched() -> None:
    """The raw files of the experiments that cases are made of are in data/raw/.

    Raises:
        UserError: one can be had nowhere.
    """
    from goodfit import build
    from goodfit.paths import Paths
    from goodfit.stages.asked import composed
    from goodfit.store.fetch import fetch

    for name in EXPERIMENTS:
        fetch(build.sources(composed([f"experiment={name}"])), Paths(name).raw)


def chosen(names: Sequence[str]) -> list[Case]:
    """The cases that are asked for.

    Raises:
        UserError: no case has that name.
    """
    known = {case.name: case for cases in CASES.values() for case in cases}
    for name in names:
        if name not in known:
            raise UserError(f"no case is named '{name}'.{nearest(name, known)}")
    return [known[name] for name in names or known]


def judge(root: Path, case: Case, seed: int) -> Judgement:
    """Prepares, trains and judges in the present folder, as the stages do, beside a baseline.

    The seed decides the rows, the split where it is drawn, and the training; `root` has conf/, and
    the raw files that the experiments of the house have fetched.
    """
    from goodfit import build
    from goodfit.config import tree
    from goodfit.evaluation.baselines import answers
    from goodfit.evaluation.evidence import Opponent
    from goodfit.evaluation.fit import judged
    from goodfit.launch.fit import fit
    from goodfit.paths import Paths
    from goodfit.predictor import Predictor
    from goodfit.stages.asked import composed
    from goodfit.store.prepare import prepare

    folder = Path("raw").resolve()
    folder.mkdir(exist_ok=True)
    raw = case.make(folder, root / "data/raw", np.random.default_rng(seed))
    database = f"tracking.uri='sqlite:///{Path('mlflow.db').resolve()}'"
    given = [*raw.overrides, *case.overrides.split(), "name=planted", f"seed={seed}", database]
    with contextlib.chdir(root):
        cfg = composed([*given, "resume=never"])
    data, model = Paths(cfg.name).prepared, Path("model")
    prepare(build.data_set(cfg), {raw.source: raw.file}, data, made_with=tree.data_section(cfg))
    fit(cfg, out=model)
    predictor = Predictor.load(model)
    title, strong = next(iter(answers(cfg, data, predictor.task).items()))
    opponent = Opponent(title, strong.on_validation)
    judgement = judged(cfg, data, model, predictor, opponent)
    if judgement is None:
        raise UserError(f"{case.name}: the score is undefined on train or validation")
    return judgement


def table(named: Sequence[Named]) -> list[str]:
    """The confusion table in Markdown, how many are named rightly, and those that are not."""
    counts = Counter((one.right, one.word) for one in named)
    lines = [
        f"| planted | cases | {' | '.join(_ROWS)} |",
        f"|---|---|{'---|' * len(_ROWS)}",
    ]
    for right in CASES:
        there = len({one.case.name for one in named if one.right == right})
        if there:
            cells = [str(counts[right, word] or "") for word in _ROWS]
            lines.append(f"| {' or '.join(right)} | {there} | {' | '.join(cells)} |")
    lines.append("")
    for of, some in (
        ("all", named),
        ("those that the rules were made with", [one for one in named if one.case.seen]),
        ("those that they were not made with", [one for one in named if not one.case.seen]),
    ):
        if some:
            count = sum(one.is_right for one in some)
            lines.append(
                f"Of {of}, {count} of {len(some)} are named rightly ({count / len(some):.1%})."
            )
    for one in named:
        if not one.is_right:
            lines.append(f"- {one.case.name}, seed {one.seed}: {one.said}")
    return lines


def _measure(root: Path, case: Case, seed: int) -> None:
    """Keeps what a case gave with a seed."""
    started, output = time.monotonic(), io.StringIO()
    with contextlib.redirect_stdout(output):
        judgement = judge(root, case, seed)
    path = _path(root, case, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    judgement.write(path)
    print(
        f"{case.name}, seed {seed}: {judgement.fit} ({time.monotonic() - started:.0f} s)",
        flush=True,
    )


def _named(root: Path, cases: Sequence[Case], seeds: int) -> Iterator[Named]:
    """By the present rules, of the evidence that is kept."""
    for right, planted in CASES.items():
        for case in planted:
            if case in cases:
                for seed in range(seeds):
                    if not _path(root, case, seed).is_file():
                        continue
                    judgement = Judgement.read(_path(root, case, seed))
                    word = kind(judgement.evidence)
                    said = line(Judgement(fit=word, evidence=judgement.evidence, remedies=()))
                    yield Named(case, right, seed, word, said)


def _path(root: Path, case: Case, seed: int) -> Path:
    name = re.sub(r"\W+", "-", case.name)
    return root / RESULTS / f"{name}-{seed}.json"


if __name__ == "__main__":
    guarded(main)
