"""Below a head that alone is trained, a network answers each sample once, and trains the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from cutting import cut, same, weights
from omegaconf import DictConfig, OmegaConf

from goodfit.launch.fit import fit
from goodfit.model.sentence_encoder import Bert, SentenceEncoder
from goodfit.predictor import Predictor
from goodfit.records import Training
from goodfit.store.arrays import Packed
from goodfit.training import features

Home = Callable[..., DictConfig]


def probe(home: Home, **changes: Any) -> DictConfig:
    """Three epochs of the head alone, with dropout in the encoder and before the head."""
    cfg = home("texts-pieces", parameters={"train": "head"}, **changes)
    cfg.model = tiny.section("model", "sentence_encoder")
    return cfg


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many texts each pass through the encoder has had, so far."""
    counts: list[int] = []
    whole = Bert.forward

    def counted(self: Bert, tokens: torch.Tensor, texts: Any) -> list[torch.Tensor]:
        counts.append(len(tokens))
        return whole(self, tokens, texts)

    monkeypatch.setattr(Bert, "forward", counted)
    return counts


def test_a_probe_asks_the_encoder_once_for_each_text(
    home: Home, passes: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = probe(home)
    fit(cfg, out=Path("model"))
    folder = Path("data/prepared/tiny")
    texts = len(Packed(folder, "train")) + len(Packed(folder, "validation"))
    # one for the size of the answers; a trial batch each time that the network is made
    assert texts <= sum(passes) < texts + 16
    assert f"its answers to {texts} samples were computed once" in capsys.readouterr().out


@pytest.mark.slow
def test_with_and_without_them_the_training_is_the_same(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(probe(home), out=Path("once"))
    monkeypatch.setattr(features, "_LARGEST_SHARE", 0.0)
    fit(probe(home), out=Path("each"))
    once, each = weights(Path("once")), weights(Path("each"))
    for name, value in each.items():
        torch.testing.assert_close(once[name], value, rtol=1e-4, atol=1e-5)
    assert once["head.weight"].std() > 0


@pytest.mark.slow
@pytest.mark.fault(4)
@pytest.mark.parametrize("average", [0.0, 0.9])
def test_a_probe_that_goes_on_after_a_cut_is_the_same_bit_by_bit(
    home: Home, average: float
) -> None:
    fit(probe(home, average=average), out=Path("whole"))
    cut(probe(home, average=average), 1, 0)
    fit(probe(home, average=average), out=Path("model"))
    assert same(Path("model"), Path("whole"))


def test_the_scores_of_training_are_those_of_the_model_in_use(home: Home) -> None:
    fit(probe(home), out=Path("model"))
    predictor = Predictor.load(Path("model"))
    measured = predictor.measure(Packed(Path("data/prepared/tiny"), "validation"))
    scores = Training.read(Path("model/train.json")).scores
    assert measured.mean_loss == pytest.approx(scores["val/loss"], rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "fixed"),
    [
        ({}, True),
        ({"parameters": {"train": "gradual"}}, False),
        ({"augment": {"token_dropout": {}}}, False),
        ({"trainer": {"strategy": "fsdp"}}, False),
    ],
)
def test_they_are_computed_once_only_where_nothing_changes_them(
    home: Home, changes: dict[str, Any], fixed: bool
) -> None:
    cfg = OmegaConf.merge(probe(home), changes)
    assert features.are_fixed(cfg, SentenceEncoder.__new__(SentenceEncoder)) == fixed  # type: ignore[arg-type]
