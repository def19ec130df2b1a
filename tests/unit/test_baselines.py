"""Several baselines: one list, compared on validation; the best there is the opponent."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from omegaconf import OmegaConf

from goodfit import build
from goodfit.baseline.base import Baseline, LabelledSamples, Samples
from goodfit.baseline.boosting import Boosting
from goodfit.config.check import check
from goodfit.config.compose import compose
from goodfit.errors import UserError
from goodfit.evaluation import verdict
from goodfit.evaluation.baselines import strongest
from goodfit.evaluation.evaluate import evaluate
from goodfit.predictor import Predictor

Prepared = Callable[[str], Path]
TABLE = ["name=x", "data=breast_cancer", "model=mlp", "task=classification"]


def composed(*overrides: str) -> list[str]:
    """The names of the baselines of a configuration that passes the check."""
    cfg = compose(tiny.ROOT, overrides)
    check(cfg)
    return sorted(cfg.baseline)


@pytest.mark.fault(62)
@pytest.mark.parametrize(
    ("override", "names"),
    [
        ("baseline=logistic", ["logistic"]),
        ("baseline=[logistic,boosting]", ["boosting", "logistic"]),
        ("baseline=[boosting, logistic]", ["boosting", "logistic"]),
        ("baseline=[logistic,logistic]", ["logistic"]),
    ],
)
def test_one_baseline_or_several_are_given_in_one_way(override: str, names: list[str]) -> None:
    assert composed(*TABLE, override) == names


@pytest.mark.slow
@pytest.mark.fault(62)
@pytest.mark.parametrize(
    ("overrides", "names"),
    [
        ([], ["boosting", "logistic"]),
        (["baseline=boosting"], ["boosting"]),
        (["baseline=[logistic]"], ["logistic"]),
        (["~baseline.logistic"], ["boosting"]),
    ],
)
def test_an_override_is_in_the_place_of_the_experiments_list(
    overrides: list[str], names: list[str]
) -> None:
    assert composed("experiment=breast_cancer", *overrides) == names


@pytest.mark.fault(62)
def test_each_of_several_keeps_its_own_arguments() -> None:
    cfg = compose(tiny.ROOT, ["experiment=breast_cancer", "baseline.boosting.trees=7"])
    assert cfg.baseline.boosting.trees == 7
    methods = build.baselines(cfg)
    assert [type(method).__name__ for method in methods] == ["Boosting", "Logistic"]


@pytest.mark.slow
@pytest.mark.fault(62)
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["baseline=[]"], r"'baseline' is missing.*name one or several: 'baseline=\[\.\.\.\]'"),
        (["baseline=[logistic,svn]"], "baseline=svn does not exist. Did you mean 'svm'"),
        (["baseline=logistic,boosting"], r"'baseline=\[logistic,boosting\]' is a list"),
        (["baseline.trees=7"], "unknown key 'baseline.trees'.*baseline.boosting.trees"),
        (["baseline=[logistic,ridge]"], "baseline.ridge RidgeRegression is for targets of kind"),
        (
            ["baseline=logistic", "+baseline=boosting"],
            r"give one of them, or several as a list: 'baseline=\[...\]'",
        ),
        (["+other_baselines.x=1"], "unknown key 'other_baselines'"),
        (
            ["baseline=logistic", "++baseline.boosting.trees=7"],
            "'baseline.boosting' names no class.*add '~baseline.boosting'",
        ),
    ],
)
def test_what_is_no_list_of_baselines_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        composed("experiment=breast_cancer", *overrides)


@pytest.mark.parametrize(
    ("case", "task", "baseline", "expected"),
    [
        ("table-number", "quantile", "boosting", [0.1, 0.5, 0.9]),
        ("mixed-all", "quantile", "joint_boosting", [0.1, 0.5, 0.9]),
        ("table-number", "regression", "boosting", []),
    ],
)
def test_boosting_learns_the_quantiles_that_the_task_asks_for(
    case: str, task: str, baseline: str, expected: list[float]
) -> None:
    (method,) = build.baselines(tiny.cfg(case, task=task, baseline=baseline))
    assert isinstance(method, Boosting)
    assert method.quantiles == expected


def test_quantiles_that_the_task_does_not_ask_for_are_refused() -> None:
    cfg = tiny.cfg("table-number", task="quantile", baseline="boosting")
    cfg.baseline.boosting.quantiles = [0.2]
    with pytest.raises(UserError, match=r"quantiles=\[0.2\], but task.quantiles=\[0.1, 0.5, 0.9\]"):
        check(cfg)


@pytest.mark.fault(62)
def test_a_file_without_its_own_name_on_top_is_refused(tmp_path: Path) -> None:
    """Two such files would be mixed into one section, and one method would vanish."""
    shutil.copytree(tiny.ROOT / "conf", tmp_path / "conf")
    path = tmp_path / "conf/baseline/logistic.yaml"
    path.write_text(path.read_text().partition("\n")[2])
    cfg = compose(tmp_path, ["experiment=breast_cancer"])
    with pytest.raises(UserError, match="does not begin with the line '# @package baseline"):
        check(cfg)


@pytest.mark.parametrize("name", tiny.names("baseline"))
def test_every_file_has_its_own_name_on_top(name: str) -> None:
    path = tiny.ROOT / "conf/baseline" / f"{name}.yaml"
    assert path.read_text().startswith(f"# @package baseline.{name}\n")


def test_no_two_baselines_have_one_title() -> None:
    titles = [tiny.constants(tiny.section("baseline", name))["title"] for name in BASELINES]
    assert len(set(titles)) == len(titles)


BASELINES = tiny.names("baseline")


class Constant(Baseline):
    """Says the same of every sample; what it sees is kept for the test."""

    kinds = ("class",)
    inputs = ("numbers",)
    title = "constant"

    def __init__(self, title: str, on_validation: float, on_test: float) -> None:
        self.title = title  # type: ignore[misc]
        self._right = {"validation": on_validation, "test": on_test}

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: Any) -> None:
        self._sizes = {len(validation): "validation"}

    def predict(self, samples: Samples) -> np.ndarray[Any, Any]:
        share = self._right[self._sizes.get(len(samples), "test")]
        return self.answer(samples, share)

    def answer(self, samples: Samples, share: float) -> np.ndarray[Any, Any]:
        """Probabilities (N, 2), right for a share of the samples."""
        truth = TRUTH[len(samples)]
        is_right = np.arange(len(truth)) < share * len(truth)
        return np.eye(2)[np.where(is_right, truth, 1 - truth)]


TRUTH: dict[int, np.ndarray[Any, Any]] = {}
"""The targets of the splits by their sizes: only a test can know those of test."""


@pytest.fixture
def verdict_of(
    trained: Any, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    from goodfit.evaluation.baselines import labelled
    from goodfit.task.base import DataSpec

    data = prepared("breast_cancer")
    spec = DataSpec.read(data / "spec.json")
    for split in ("validation", "test"):
        target = np.asarray(labelled(data, split, spec).targets["target"])
        TRUTH[len(target)] = target

    # the sample's test set is too small for a verdict by itself
    monkeypatch.setattr(verdict, "FEWEST_UNITS", 1)

    def evaluated(*methods: Baseline) -> Any:
        monkeypatch.setattr(build, "baselines", lambda _: list(methods))
        return evaluate(tiny.cfg("breast_cancer"), data, trained[0] / "model")[0]

    return evaluated


@pytest.mark.slow
@pytest.mark.fault(62)
def test_the_verdict_is_against_the_best_on_validation_whatever_test_says(
    verdict_of: Callable[..., Any],
) -> None:
    lucky = Constant("lucky on test", on_validation=0.5, on_test=1.0)
    right = Constant("right on validation", on_validation=0.9, on_test=0.2)
    for order in ([lucky, right], [right, lucky]):
        result = verdict_of(*order)
        assert [(item.title, item.role) for item in result.baselines][:2] == [
            ("right on validation", "strong"),
            ("lucky on test", "other"),
        ]
        assert result.strong.title == "right on validation"
        assert result.verdict.word == "beats"
        assert "beats right on validation" in result.verdict.text
        # and nobody is led to think that the network beats all of them
        assert result.verdict.lost_to == ["lucky on test"]
        assert "it loses to lucky on test, weaker on validation" in result.verdict.text


@pytest.mark.fault(62)
def test_each_baseline_has_its_score_on_validation(verdict_of: Callable[..., Any]) -> None:
    result = verdict_of(Constant("a", 0.5, 1.0), Constant("b", 1.0, 0.2))
    scores = {item.title: item.validation for item in result.baselines}
    assert scores["b"] == pytest.approx(1.0)
    assert scores["a"] == pytest.approx(0.5, abs=0.1)
    assert 0.4 < scores["majority class"] < 0.8


class Scored:
    """What `strongest` asks a task for."""

    def __init__(self, mode: str) -> None:
        self.score, self.scores = "x", {"x": mode}


@pytest.mark.parametrize(
    ("mode", "validation", "best"),
    [
        ("max", {"a": 0.1, "b": 0.2}, "b"),
        ("min", {"a": 0.1, "b": 0.2}, "a"),
        ("max", {"a": 0.2, "b": 0.2}, "a"),
        ("min", {"a": None, "b": 0.2}, "b"),
        ("max", {"a": None, "b": None}, "a"),
    ],
)
def test_the_strongest_is_the_best_in_the_scores_direction(
    mode: str, validation: dict[str, float | None], best: str
) -> None:
    assert strongest(validation, Scored(mode)) == best  # type: ignore[arg-type]


@pytest.mark.fault(62)
@pytest.mark.parametrize(
    "others",
    [
        {"baseline": {"gone": {"_target_": "goodfit.baseline.gone.Gone"}}},
        {"baseline": {"_target_": "goodfit.baseline.logistic.Logistic"}, "other_baselines": {}},
    ],
)
def test_a_model_is_loaded_whatever_became_of_the_baselines_it_was_trained_beside(
    others: dict[str, Any], trained: Any, tmp_path: Path
) -> None:
    """Nothing is trained again where only a baseline is renamed: the model keeps the old name."""
    model = Path(shutil.copytree(trained[0] / "model", tmp_path / "model"))
    cfg = OmegaConf.load(model / "config.yaml")
    del cfg["baseline"]
    OmegaConf.save(OmegaConf.merge(cfg, others), model / "config.yaml")
    Predictor.load(model)
