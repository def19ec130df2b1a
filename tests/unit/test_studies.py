"""What was asked of a fit is kept for the experiment as it is, and its page says the same."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from goodfit.paths import Paths
from goodfit.records.diagnosed import Diagnosed, Treated
from goodfit.records.fit import Fit
from goodfit.records.interval import Interval
from goodfit.repeats.result import Repeated, Single
from goodfit.stages import studies

AS_IT_IS = ["experiment=tiny"]


def diagnosed(*better: float) -> Diagnosed:
    treated = []
    for index, value in enumerate(better):
        by = Interval(value, value - 0.01, value + 0.01)
        outcome = int(by.low > 0) - int(by.high < 0)
        treated.append(
            Treated(
                override=f"model.dropout=0.{index + 1}",
                score=Interval(0.8 + value, 0.7, 0.9),
                better=by,
                outcome=outcome,
                word="so it is",
                gap=0.1,
            )
        )
    return Diagnosed(
        experiment="tiny",
        data_sha256="0" * 64,
        fit=Fit.OVERFIT,
        sentences=("It has learned samples by heart.",),
        score="accuracy",
        before=Interval(0.8, 0.7, 0.9),
        gap=0.2,
        treated=tuple(treated),
        on="the same validation",
        counts="samples",
        run_id="0" * 32,
    )


def repeated(folds: int | None) -> Repeated:
    count = folds or 1
    singles = [
        Single(fold=fold + 1 if folds else None, seed=0, epochs=3, score=0.7 + fold / 10, run_id="")
        for fold in range(count)
    ]
    return Repeated(
        experiment="tiny",
        score="accuracy",
        mode="max",
        folds=folds,
        seeds=(0,) if folds else (0, 1),
        data=("0" * 64,) * count,
        held_out=(10,) * count,
        trained_on=(20,) * count,
        unit="sample",
        units=30,
        singles=tuple(singles) if folds else tuple(singles * 2),
        run_id="0" * 32,
        mean=Interval(0.8, 0.7, 0.9),
        freedom=1.0,
    )


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def page() -> str:
    html = (Paths("tiny").fit / "index.html").read_text()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_the_best_remedy_that_is_no_tie_is_named_and_stands_out() -> None:
    studies.keep_diagnosed(diagnosed(0.005, 0.02, 0.04), AS_IT_IS)
    assert "model.dropout=0.3 is better than what is, beyond chance." in page()
    html = (Paths("tiny").fit / "index.html").read_text()
    (row,) = re.findall(r'<tr class="head"><th scope="row">([^<]*)', html)
    assert row == "model.dropout=0.3"


def test_of_ties_none_is_called_better() -> None:
    studies.keep_diagnosed(diagnosed(0.005, -0.02), AS_IT_IS)
    assert "None of the remedies is better than what is, beyond chance." in page()


def test_what_was_asked_of_another_configuration_is_not_said_of_this_one() -> None:
    studies.keep_diagnosed(diagnosed(0.02), [*AS_IT_IS, "model.width=8"])
    studies.keep_repeated(repeated(2), [*AS_IT_IS, "model.width=8"])
    assert not Paths("tiny").fit.exists()


def test_a_later_answer_takes_the_place_of_an_earlier_one_beside_the_others() -> None:
    studies.keep_repeated(repeated(2), AS_IT_IS)
    studies.keep_diagnosed(diagnosed(0.02), AS_IT_IS)
    studies.keep_repeated(repeated(None), AS_IT_IS)
    studies.keep_repeated(replace(repeated(3), units=33), AS_IT_IS)
    said = page()
    assert [title in said for title in ("Remedies tried", "3 folds", "2 seeds", "2 folds")] == [
        *(True, True, True),
        False,
    ]
    assert "python pipelines/train.py experiment=tiny cv=3" in said
    assert "python pipelines/train.py experiment=tiny seeds=2" in said


def test_an_answer_about_other_data_says_so(prepared: object) -> None:
    import shutil

    assert callable(prepared)
    shutil.copytree(prepared("breast_cancer"), Paths("tiny").prepared)
    studies.keep_diagnosed(diagnosed(0.02), AS_IT_IS)
    assert "have changed since; ask again" in page()
