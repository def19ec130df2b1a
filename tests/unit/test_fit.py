"""One word for each fit, by rules of which the first that holds counts; evidence that is right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
from omegaconf import DictConfig, OmegaConf

from goodfit.config import tree
from goodfit.config.check import check
from goodfit.config.compose import compose
from goodfit.config.regularization import settled
from goodfit.evaluation.evidence import curve, gather
from goodfit.evaluation.fit import kind
from goodfit.evaluation.remedies import remedies
from goodfit.evaluation.shuffled import keep
from goodfit.paths import Paths
from goodfit.predictor import Predictor
from goodfit.records import Manifest, Trained, Training
from goodfit.records.fit import Curve, Evidence, Fit, Judgement, Shuffled
from goodfit.records.interval import Interval
from goodfit.reporting.fit import told
from goodfit.reporting.words import number

pytestmark = pytest.mark.fault(61)
LEVEL = Curve(epochs=5, slope=Interval(0.0, -0.01, 0.01), gained=0.5)
RISING = Curve(epochs=5, slope=Interval(0.02, 0.01, 0.03), gained=0.5)
HEALTHY = Evidence(
    score="accuracy",
    train=Interval(0.92, 0.90, 0.94),
    validation=Interval(0.9, 0.88, 0.92),
    gap=Interval(0.02, 0.0, 0.04),
    trivial="majority class",
    on_train=Interval(0.42, 0.40, 0.44),
    on_validation=Interval(0.4, 0.38, 0.42),
    lost=Interval(0.05, 0.01, 0.09),
    train_curve=LEVEL,
    validation_curve=LEVEL,
    epochs=20,
    kept_epoch=19,
    to_the_end=True,
    unit="sample",
    units=500,
    samples=2_000,
    parameters=10_000,
)
BETTER, TIED, WORSE = (Interval(by, by - 0.02, by + 0.02) for by in (0.05, 0.0, -0.05))
HALF_LOST = Interval(0.5, 0.4, 0.6)
LACKS = {"lost": HALF_LOST, "than_strong": WORSE}


@pytest.mark.parametrize(
    ("changes", "fit"),
    [
        ({}, Fit.GOOD),
        ({"same_answer": "'yes'"}, Fit.DEGENERATE),
        ({"leaks": ("'copy' alone tells 100 %",)}, Fit.LEAK),
        ({"units": 29}, Fit.TOO_FEW),
        ({"units": 30}, Fit.GOOD),
        ({"on_train": Interval(0.01, -0.01, 0.03), "lost": None}, Fit.UNDERFIT),
        ({"lost": HALF_LOST}, Fit.OVERFIT),
        ({"lost": Interval(0.14, 0.1, 0.3)}, Fit.GOOD),
        ({"lost": Interval(0.5, -0.1, 1.1)}, Fit.GOOD),  # may be luck
        ({"lost": Interval(0.5, -0.1, 1.1), "gap": Interval(0.2, 0.1, 0.3)}, Fit.OVERFIT),
        # more is lacking on train than is lost on validation, and the other way round
        (LACKS | {"bias": Interval(0.3, 0.2, 0.4)}, Fit.UNDERFIT),
        (LACKS | {"bias": Interval(0.01, 0.005, 0.015)}, Fit.OVERFIT),
        (LACKS | {"bias": Interval(0.3, -0.1, 0.7)}, Fit.OVERFIT),
        (LACKS | {"bias": Interval(0.3, 0.2, 0.4), "than_strong": TIED}, Fit.OVERFIT),
        ({"than_strong": WORSE}, Fit.UNDERFIT),
        ({"than_strong": TIED}, Fit.GOOD),
        ({"validation_curve": RISING}, Fit.UNDERFIT),
        ({"validation_curve": RISING, "to_the_end": False}, Fit.GOOD),
        ({"validation_curve": RISING, "than_strong": BETTER}, Fit.GOOD),
        ({"validation_curve": RISING, "than_strong": TIED}, Fit.UNDERFIT),
        ({"validation_curve": replace(RISING, gained=5.0)}, Fit.GOOD),  # by next to nothing
        # what comes first counts
        ({"same_answer": "'yes'", "units": 3}, Fit.DEGENERATE),
        ({"leaks": ("x",), "units": 3}, Fit.LEAK),
        ({"lost": HALF_LOST, "units": 3}, Fit.TOO_FEW),
        ({"lost": HALF_LOST, "than_strong": WORSE, "validation_curve": RISING}, Fit.OVERFIT),
    ],
)
def test_the_first_rule_that_holds_names_the_fit(changes: dict[str, Any], fit: Fit) -> None:
    evidence = replace(HEALTHY, **changes)
    assert kind(evidence) is fit
    # the sentence is about the rule that held
    said = told(Judgement(fit=fit, evidence=evidence, remedies=()))[0]
    assert ("by heart" in said) == (fit is Fit.OVERFIT)
    assert ("holds for validation" in said) == (fit is Fit.GOOD)


def test_a_straight_line_has_its_slope() -> None:
    rising = pd.Series(np.arange(20.0))
    assert curve(rising, kept=19) == Curve(epochs=5, slope=Interval(1.0, 1.0, 1.0), gained=19.0)


@pytest.mark.parametrize("epochs", [1, 2])
def test_two_epochs_have_no_slope(epochs: int) -> None:
    assert curve(pd.Series([0.1, 0.2][:epochs]), kept=0).slope is None


def test_an_epoch_that_was_not_measured_is_left_out() -> None:
    assert curve(pd.Series([0.0, 1.0, 2.0, float("nan")]), kept=2).slope is None
    slope = curve(pd.Series([*range(16), float("nan"), 17, 18, 19.0]), kept=19).slope
    assert slope is not None


def test_evidence_is_what_training_measured(trained: tuple[Path, DictConfig, Trained]) -> None:
    """By another way: training's own pass over validation, without weights on disk between."""
    folder, cfg, _ = trained
    training = Training.read(folder / "model/train.json")
    data = folder / Paths(cfg.name).prepared
    evidence = gather(cfg, data, folder / "model", Predictor.load(folder / "model"), None)
    assert evidence is not None
    score = evidence.score
    assert evidence.validation.value == pytest.approx(training.scores[f"val/{score}"])
    assert evidence.on_train.value - evidence.on_validation.value == pytest.approx(
        evidence.gap.value
        + evidence.on_train.value
        - evidence.train.value
        - (evidence.on_validation.value - evidence.validation.value)
    )
    assert (evidence.parameters, evidence.epochs) == (training.cost.trainable, training.epochs)
    evidence.write(folder / "evidence.json")
    assert Evidence.read(folder / "evidence.json") == evidence


def test_shuffled_targets_that_are_known_are_a_leak(
    trained: tuple[Path, DictConfig, Trained], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, cfg, _ = trained
    data = folder / Paths(cfg.name).prepared
    found = Shuffled(
        by="sample",
        score="accuracy",
        mode="max",
        train=1.0,
        validation=0.9,
        chance=Interval(0.5, 0.4, 0.6),
        probability=0.005,
        steps=100,
        data_sha256=Manifest.read(data / "manifest.json").sha256,
    )
    monkeypatch.chdir(tmp_path)
    keep(cfg.name, found)
    evidence = gather(cfg, data, folder / "model", Predictor.load(folder / "model"), None)
    assert evidence is not None
    assert evidence.leaks == (found.leak,)
    better = evidence.validation.value - 0.9
    said = told(Judgement(fit=Fit.LEAK, evidence=evidence, remedies=()))
    assert any(f"with the true ones it is better by {number(better, 3)}." in line for line in said)


EXPERIMENTS = sorted(path.stem for path in (tiny.ROOT / "conf/experiment").glob("*.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_a_remedy_is_an_override_that_changes_the_experiment(
    experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pasted behind the command it composes, passes every check, and differs from what was."""
    monkeypatch.chdir(tiny.ROOT)
    before, _ = settled(compose(tiny.ROOT, [f"experiment={experiment}"]), [])
    config = tree.dotted(before)
    nothing_learned = replace(HEALTHY, on_train=Interval(0.0, -0.1, 0.1), lost=None)
    found = {
        remedy.override
        for fit, evidence in [
            (Fit.OVERFIT, HEALTHY),
            (Fit.UNDERFIT, HEALTHY),
            (Fit.UNDERFIT, nothing_learned),
        ]
        for remedy in remedies(fit, evidence, config)
    }
    assert len(found) >= 4
    for override in found:
        given = [f"experiment={experiment}", override]
        after, _ = settled(compose(tiny.ROOT, given), given)
        check(OmegaConf.create(after))
        assert after != before, override


def test_nothing_learned_while_train_still_falls_asks_for_larger_steps_first() -> None:
    config = {"optimizer.lr": 0.001}
    evidence = replace(HEALTHY, train_curve=RISING)
    first = remedies(Fit.DEGENERATE, evidence, config)[0].override
    assert first == "optimizer.lr=0.01"
    assert remedies(Fit.DEGENERATE, HEALTHY, config)[0].override == "optimizer.lr=0.0001"


def test_where_words_are_learned_from_few_texts_those_of_others_are_the_first_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tiny.ROOT)
    config = tree.dotted(settled(compose(tiny.ROOT, ["experiment=reviews"]), [])[0])
    assert remedies(Fit.OVERFIT, HEALTHY, config)[0].override == "model=sentence_encoder"
    many = remedies(Fit.OVERFIT, replace(HEALTHY, samples=50_000), config)
    config |= {"model._target_": "goodfit.model.sentence_encoder.SentenceEncoder"}
    read = remedies(Fit.OVERFIT, HEALTHY, config)
    assert "model=sentence_encoder" not in {item.override for item in (*many, *read)}


def test_few_images_are_told_apart_by_weights_that_know_others() -> None:
    few = replace(HEALTHY, samples=500)
    cnn = {"model._target_": "goodfit.model.cnn.CNN"}
    assert remedies(Fit.OVERFIT, few, cnn)[0].override == "model=efficientnet"
    assert remedies(Fit.UNDERFIT, few, cnn)[0].override == "model=efficientnet"
    many = remedies(Fit.OVERFIT, replace(HEALTHY, samples=50_000), cnn)
    mlp = remedies(Fit.OVERFIT, few, {"model._target_": "goodfit.model.mlp.MLP"})
    assert "model=efficientnet" not in {item.override for item in (*many, *mlp)}


def test_half_a_width_is_one_that_the_heads_divide() -> None:
    config = {"model.width": 36, "model.heads": 4}
    overrides = [item.override for item in remedies(Fit.OVERFIT, HEALTHY, config)]
    assert "model.width=16" in overrides
