"""What was asked about an experiment's fit is kept, and told on a page of its own.

cv=5, seeds=5, diagnose.py and learning_curve.py of an experiment as conf/ has it leave their
answers beside its report, in a folder that no stage of DVC makes: asking changes nothing that
`dvc repro` looks at.
"""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from markupsafe import Markup

from goodfit.paths import Paths
from goodfit.records import Manifest
from goodfit.records.curve import LearningCurve
from goodfit.records.diagnosed import Diagnosed
from goodfit.repeats.result import Repeated
from goodfit.reporting import charts, learning_curve, words
from goodfit.reporting.studies import Study, Table, page
from goodfit.stages.report import write_comparison
from goodfit.system import units
from goodfit.system.files import write_text

_CURVE, _PICTURE = "curve.json", "curve.png"
_DIAGNOSED, _FOLDS, _SEEDS = "diagnosed.json", "folds.json", "seeds.json"


def keep_repeated(found: Repeated, overrides: Sequence[str]) -> None:
    """Keeps what folds or seeds gave, where they are those of the experiment as it is."""
    if _as_it_is(overrides):
        found.write(Paths(found.experiment).fit / (_FOLDS if found.folds else _SEEDS))
        _write_page(found.experiment)


def keep_diagnosed(found: Diagnosed, overrides: Sequence[str]) -> None:
    """Keeps which remedies were tried, where it was the experiment as it is."""
    if _as_it_is(overrides):
        found.write(Paths(found.experiment).fit / _DIAGNOSED)
        _write_page(found.experiment)


def keep_curve(found: LearningCurve, picture: Path, overrides: Sequence[str]) -> None:
    """Keeps a learning curve and its picture, where they are of the experiment as it is."""
    if _as_it_is(overrides):
        folder = Paths(found.experiment).fit
        found.write(folder / _CURVE)
        shutil.copyfile(picture, folder / _PICTURE)
        _write_page(found.experiment)


def _as_it_is(overrides: Sequence[str]) -> bool:
    return all(item.startswith("experiment=") for item in overrides)


def _write_page(name: str) -> None:
    path = Paths(name).fit / "index.html"
    write_text(path, page(name, list(_studies(name))))
    write_comparison()  # which links to it
    print(f"wrote {path}", flush=True)


def _studies(name: str) -> Iterator[Study]:
    folder = Paths(name).fit
    if (folder / _CURVE).is_file():
        yield _of_curve(LearningCurve.read(folder / _CURVE), folder / _PICTURE)
    if (folder / _DIAGNOSED).is_file():
        yield _of_remedies(Diagnosed.read(folder / _DIAGNOSED))
    for file in (_FOLDS, _SEEDS):
        if (folder / file).is_file():
            yield _of_repeats(Repeated.read(folder / file))


def _of_curve(found: LearningCurve, picture: Path) -> Study:
    """Scores by the size of train, and where they lead."""
    title = f"{words.title(found.score)} by samples of train"
    data = base64.b64encode(picture.read_bytes()).decode()
    image = Markup('<img src="data:image/png;base64,{}" alt="{}" style="max-width:100%">')
    return Study(
        title="Learning curve",
        command=f"python pipelines/learning_curve.py experiment={found.experiment}",
        sentences=tuple(learning_curve.told(found)),
        notes=(" ".join(_sentence(line) for line in learning_curve.counts(found)),),
        chart=image.format(data, title),
        stale=_stale(found.experiment, [found.data_sha256]),
    )


def _of_remedies(found: Diagnosed) -> Study:
    """Each remedy beside what was; the best of those that are better stands out."""
    name = words.title(found.score)
    rows = [("as it is", found.before.text(), "", "", units.number(found.gap, 3, sign=True))]
    for item in found.treated:
        by, gap = item.better.text(sign=True), units.number(item.gap, 3, sign=True)
        rows.append((item.override, item.score.text(), by, item.word, gap))
    better = [index for index, item in enumerate(found.treated, 1) if item.outcome > 0]
    best = max(better, key=lambda index: found.treated[index - 1].better.value, default=None)
    said = "None of the remedies is better than what is, beyond chance."
    if best is not None:
        said = f"{found.treated[best - 1].override} is better than what is, beyond chance."
    return Study(
        title="Remedies tried",
        command=f"python pipelines/diagnose.py experiment={found.experiment}",
        sentences=(f"{found.fit}: {found.sentences[0]}", said),
        notes=(
            f"Compared on {found.on}; the intervals count {found.counts}. The gap is by how much "
            "train is better. The best of several is chosen on validation, so its score there is "
            "a little too good.",
        ),
        table=Table(head=("", name, "better by", "", "gap to train"), rows=tuple(rows), best=best),
        stale=_stale(found.experiment, [found.data_sha256]),
    )


def _of_repeats(found: Repeated) -> Study:
    """Every score in a row, and the mean with its interval."""
    name = words.title(found.score)
    asked = [f"cv={found.folds}"] * bool(found.folds)
    asked += [f"seeds={len(found.seeds)}"] * (len(found.seeds) > 1)
    rows = []
    for item in found.singles:
        fold, score = str(item.fold or "-"), units.number(item.score, 4)
        rows.append((fold, str(item.seed), str(item.epochs), score))
    mean = charts.Row(
        "mean", found.mean.value, found.mean.low, found.mean.high, found.mean.text(), strong=True
    )
    chart = charts.forest_plot(
        f"Mean {name} of {found.title}", found.mean.text(), [mean], label=name
    )
    return Study(
        title=f"{found.title[0].upper()}{found.title[1:]}",
        command=f"python pipelines/train.py experiment={found.experiment} {' '.join(asked)}",
        sentences=(f"{name} {found.mean.text()}: mean and 95 % interval of {found.title}.",),
        notes=(" ".join(_sentence(line) for line in found.counted()),),
        chart=chart,
        table=Table(head=("fold", "seed", "epochs", name), rows=tuple(rows)),
        stale=None if found.folds else _stale(found.experiment, found.data),
    )


def _sentence(line: str) -> str:
    """A line of a terminal as a sentence."""
    text = line.strip()
    return f"{text[0].upper()}{text[1:]}."


def _stale(name: str, data: Sequence[str]) -> str | None:
    """That it was asked of other prepared data than are there."""
    manifest = Paths(name).prepared / "manifest.json"
    if not manifest.is_file() or Manifest.read(manifest).sha256 in data:
        return None
    return "The experiment's prepared data have changed since; ask again."
