"""Texts become the pieces of a pretrained tokenizer, in training and in use alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tiny
from omegaconf import OmegaConf

from goodfit import build
from goodfit.contract import DataSpec
from goodfit.data.reviews import Reviews
from goodfit.data.texts import Texts
from goodfit.errors import UserError
from goodfit.schema import Source
from goodfit.system import tokenizer

FILE = tiny.SAMPLES / "tokenizer.json"
TEXTS = ["Invoices refunded!", "thanks " * 30, "an invoice [SEP] the password", "\u200b"]


def fitted(tmp_path: Path, **options: Any) -> DataSpec:
    """The spec of two tickets, made with the tokenizer of the samples."""
    (tmp_path / "t.csv").write_text("body,y\nthe invoice,a\ngreat thanks,b\n")
    content = tiny.section("data", "texts-pieces") | {"label": "y", "length": 8} | options
    made = build.data_set(OmegaConf.create({"data": content}))
    raw = {"table": tmp_path / "t.csv", "tokenizer": FILE}
    return made.fit(made.read(raw))


def encoded(spec: DataSpec, texts: list[str]) -> list[list[str]]:
    """The pieces of texts, without padding, by their names."""
    arrays = Texts.encode(pd.DataFrame({"body": texts}), spec)
    names = spec.inputs["tokens"].vocabulary
    rows = zip(arrays["tokens"], arrays["mask"], strict=True)
    return [[names[token] for token in tokens[mask]] for tokens, mask in rows]


def test_a_text_is_its_pieces_between_the_marks_which_stay_where_it_is_cut(tmp_path: Path) -> None:
    """The file itself says that texts are padded to 8, and cut there."""
    short, long, _, empty = encoded(fitted(tmp_path), TEXTS)
    assert short == ["[CLS]", "invoice", "##s", "refund", "##ed", "!", "[SEP]"]
    assert long == ["[CLS]", *["thanks"] * 6, "[SEP]"]
    assert empty == ["[CLS]", "[SEP]"]
    assert len(encoded(fitted(tmp_path, length=12), TEXTS)[1]) == 12


def test_what_a_text_says_of_a_mark_is_a_text(tmp_path: Path) -> None:
    marked = encoded(fitted(tmp_path, length=16), TEXTS)[2]
    assert marked.count("[SEP]") == 1
    assert marked[-1] == "[SEP]"


def test_the_tokenizer_comes_back_with_the_spec_and_gives_the_same_tokens(tmp_path: Path) -> None:
    spec = fitted(tmp_path)
    spec.write(tmp_path / "spec.json")
    assert (tmp_path / "assets/tokenizer.json").read_bytes() == FILE.read_bytes()
    assert encoded(DataSpec.read(tmp_path / "spec.json"), TEXTS) == encoded(spec, TEXTS)


def test_it_is_said_that_pieces_of_words_are_read(tmp_path: Path) -> None:
    (column, *_) = Texts.columns_read(fitted(tmp_path))
    assert column.why.startswith("texts of which the first 8 pieces of words are read")


def test_reviews_with_a_tokenizer_have_the_rows_and_splits_that_they_have_without() -> None:
    def made(**more: Source) -> Reviews:
        content = tiny.section("data", "reviews")
        del content["_target_"], content["sources"]
        corpus = Source(file="rotten_tomatoes_corpus_full.csv.bz2", sha256=None)
        return Reviews(sources={"snippets": corpus, **more}, **content)

    plain, pieces = made(), made(tokenizer=Source(file="tokenizer.json", sha256=None))
    rows, same = plain.read(tiny.raw(plain)), pieces.read(tiny.raw(pieces))
    assert rows.equals(same)
    assert plain.key(rows) == pieces.key(same)
    groups = pd.factorize(pd.Series(plain.key(rows)))[0]
    assert plain.split(rows, groups).tolist() == pieces.split(same, groups).tolist()
    assert plain.fit(rows).assets == {}
    assert set(pieces.fit(same).assets) == {tokenizer.FILE}


@pytest.mark.parametrize(
    ("content", "length", "told"),
    [
        (b"[PAD]\n[UNK]\n", 8, "no tokenizer.json of the library"),
        (b"\xff\xfe", 8, "no tokenizer.json of the library"),
        (FILE.read_bytes(), 1, "1 tokens leave no room beside its 2 marks"),
        (FILE.read_bytes().replace(b"[PAD]", b"[CUT]"), 8, "its token 0 is '.CUT.'; expected pad"),
    ],
)
def test_a_file_that_is_no_tokenizer_is_refused(
    tmp_path: Path, content: bytes, length: int, told: str
) -> None:
    (tmp_path / "vocab.json").write_bytes(content)
    made = build.data_set(OmegaConf.create({"data": tiny.section("data", "texts-pieces")}))
    assert isinstance(made, Texts)
    made.length = length
    raw = {"table": tiny.SAMPLES / "texts.csv", "tokenizer": tmp_path / "vocab.json"}
    with pytest.raises(UserError, match=f"^data.sources.tokenizer: vocab.json: {told}"):
        made.read(raw)
