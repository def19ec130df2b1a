"""Planted cases: what is wrong with the data or the training, and the word that it must get."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import verdict_data as of
from benchmarks.verdict_data import Make, digits, few, meter, sample, snippets, table
from goodfit.records.fit import Fit


@dataclass(frozen=True)
class Case:
    """A planted case: its data, overrides of its training, and whether the rules were made with it.

    The rules were mended by looking at those that are `seen`, and not at the others.
    """

    name: str
    make: Make
    overrides: str = ""
    seen: bool = False


# where nothing is learned it is chance whether the answers differ at all
NOTHING = (Fit.UNDERFIT, Fit.DEGENERATE)
_HUGE = "model.width=256 model.depth=3 regularization=none trainer.max_epochs=20"
_TEXT = "regularization=none average=0 trainer.max_epochs=5"
_TO_THE_END = "task.monitor=accuracy early_stopping.patience=null"
_LARGE = "model.width=24 regularization=none trainer.max_epochs=10"
_SHORT = "trainer.max_epochs=8"
_ASSIGNED = "data.assigned=fold"
_APART = f"{_ASSIGNED} data.equal_rows=apart"
_DIGITS, _MASSES, _DISEASE = table("digits"), table("breast_cancer"), table("diabetes")

CASES: dict[tuple[Fit, ...], tuple[Case, ...]] = {
    (Fit.GOOD,): (
        Case("masses, a table", _MASSES, seen=True),
        Case("digits, a table", _DIGITS, "trainer.max_epochs=20", seen=True),
        Case("disease, a number", _DISEASE, seen=True),
        Case("digits, images", digits(sample(1500)), _SHORT, seen=True),
        Case("snippets that name films", snippets(few(1500), of.named), "", seen=True),
        Case("demand by the hour", meter(of.hourly), "trainer.max_epochs=5"),
        Case("masses, light regularization", _MASSES, "regularization=light"),
        Case("disease, light regularization", _DISEASE, "regularization=light"),
        Case(
            "digits, strong regularization", _DIGITS, "regularization=strong trainer.max_epochs=20"
        ),
        Case("one class of ten", table("breast_cancer", of.rare(0.1)), "task.majority=keep"),
        # early stopping keeps weights from before they have learned by heart
        Case("huge network, wrong labels", table("breast_cancer", of.noisy(0.4)), _HUGE, True),
        Case("huge network, a number", _DISEASE, _HUGE),
        Case("labels of 5 % are wrong", table("digits", of.noisy(0.05)), "trainer.max_epochs=20"),
    ),
    (Fit.UNDERFIT,): (
        Case("one unit, table", _DIGITS, "model.width=1 model.depth=1 trainer.max_epochs=15", True),
        Case("one channel, images", digits(sample(700)), f"model.width=1 {_SHORT}", True),
        Case("one epoch, table", _DIGITS, "trainer.max_epochs=1", True),
        Case("one epoch, images", digits(sample(700)), "trainer.max_epochs=1"),
        Case("one epoch, number", _DISEASE, "trainer.max_epochs=1 optimizer.lr=3e-3"),
        Case("dropout of 0.95", _DIGITS, "model.dropout=0.95 trainer.max_epochs=15"),
        Case("dropout of 0.95, number", _DISEASE, "model.dropout=0.95 trainer.max_epochs=10"),
    ),
    NOTHING: (
        Case("one batch, table", _DIGITS, "+trainer.max_steps=1", True),
        Case("one batch, images", digits(sample(700)), "+trainer.max_steps=1"),
        Case("rate too small, masses", _MASSES, "optimizer.lr=1e-7 trainer.max_epochs=10", True),
        Case("rate too small, digits", _DIGITS, "optimizer.lr=1e-7 trainer.max_epochs=8"),
        Case("rate too small, number", _DISEASE, "optimizer.lr=1e-7 trainer.max_epochs=10"),
        Case("rate too large, table", _DIGITS, "optimizer.lr=30 trainer.max_epochs=15", True),
        Case("rate too large, images", digits(sample(700)), "optimizer.lr=3 trainer.max_epochs=4"),
        Case("rate too large, number", _DISEASE, "optimizer.lr=100 trainer.max_epochs=15"),
        Case(
            "frozen but for its biases",
            _DIGITS,
            "parameters.freeze=[*.weight] optimizer.lr=1e-4 trainer.max_epochs=10",
        ),
        Case("shuffled labels, masses", table("breast_cancer", of.shuffled), "", True),
        Case("shuffled labels, digits", table("digits", of.shuffled), "regularization=strong"),
        Case("shuffled numbers", table("diabetes", of.shuffled)),
        Case("shuffled labels, images", digits(sample(700), of.shuffled), _SHORT),
    ),
    (Fit.DEGENERATE,): (
        Case(
            "majority of 95 %",
            table("breast_cancer", of.rare(0.05)),
            "task.majority=keep optimizer.lr=1e-3 trainer.max_epochs=5",
            True,
        ),
        Case("all units left out", _MASSES, "model.dropout=0.999 trainer.max_epochs=5"),
    ),
    (Fit.OVERFIT,): (
        Case(
            "huge network, 400 snippets", snippets(few(400)), f"{_TEXT} data.validation=0.3", True
        ),
        Case(
            "huge network, 100 images", digits(sample(200)), f"{_LARGE} data.validation=0.3", True
        ),
        Case(
            "shuffled labels by heart", table("digits", of.shuffled), f"{_HUGE} {_TO_THE_END}", True
        ),
        Case("masses among noise", table("breast_cancer", sample(290), of.noise(300)), _HUGE, True),
        Case("disease among noise", table("diabetes", of.noise(300)), _HUGE),
        Case("digits among noise", table("digits", sample(400), of.noise(300)), _HUGE),
        Case(
            "wrong images by heart", digits(sample(500), of.noisy(0.6)), f"{_LARGE} {_TO_THE_END}"
        ),
        Case("huge network, 600 snippets", snippets(few(600)), f"{_TEXT} data.validation=0.2"),
        Case("2,000 snippets", snippets(few(2000)), _TEXT),
    ),
    (Fit.LEAK,): (
        Case("copied label, table", table("breast_cancer", of.copied(0.0)), _SHORT, True),
        Case("copied label, ten classes", table("digits", of.copied(0.0)), _SHORT),
        Case("copied label, 1 % wrong", table("digits", of.copied(0.01)), _SHORT, True),
        Case("copied number with noise", table("diabetes", of.copied(0.05)), _SHORT),
        Case(
            "a word tells",
            snippets(few(700), of.word),
            "trainer.max_epochs=2",
            True,
        ),
        Case("a pixel tells", digits(sample(700), of.corner), "trainer.max_epochs=2", True),
        Case("test in train", table("breast_cancer", of.doubled("test", 1.0)), _APART, True),
        Case("validation in train", table("digits", of.doubled("validation", 1.0)), _APART, True),
        Case("half of it in train", table("diabetes", of.doubled("validation", 0.5)), _APART),
        Case(
            "near copies in train",
            table("breast_cancer", of.doubled("validation", 0.5, 0.01)),
            _ASSIGNED,
            True,
        ),
        Case(
            "near copies of numbers",
            table("diabetes", of.doubled("validation", 0.6, 0.01)),
            _ASSIGNED,
        ),
        Case(
            "patients on both sides",
            table("breast_cancer", of.patients),
            f"{_ASSIGNED} data.group=patient",
        ),
    ),
    (Fit.TOO_FEW,): (
        Case("validation of 15", table("breast_cancer", of.held_out(15)), _ASSIGNED, True),
        Case("validation of 20 numbers", table("diabetes", of.held_out(20)), _ASSIGNED),
        Case("wine, validation of 27", table("wine")),
        Case("8 patients in validation", table("breast_cancer", of.visits), "data.group=patient"),
        Case("8 weeks of demand", meter(), "data.spread=0 trainer.max_epochs=2", True),
    ),
}
