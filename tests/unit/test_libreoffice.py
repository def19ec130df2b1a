"""Help pages in two languages: which paragraphs become pairs, and on which side they are."""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny

from goodfit.contract import END, DataSpec
from goodfit.data.libreoffice import LibreOfficeHelp, joined, letters, pages, paragraphs
from goodfit.data.split import NO_SPLIT, without_copies
from goodfit.errors import UserError
from goodfit.system import tokenizer

RAW = {
    "english": tiny.SAMPLES / "libreoffice-help-en-us_4%3a7.4.7-1+deb12u14.deb",
    "french": tiny.SAMPLES / "libreoffice-help-fr_4%3a7.4.7-1+deb12u14.deb",
}


def data_set(**changes: object) -> LibreOfficeHelp:
    options = {"words": 14, "tokens": 320, "test": 0.2, "validation": 0.1, "split_seed": 0}
    return LibreOfficeHelp(sources={}, **(options | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return data_set().read(RAW)


@pytest.fixture(scope="module")
def spec(rows: pd.DataFrame) -> DataSpec:
    return data_set().fit(rows)


def test_a_pair_is_a_paragraph_with_the_same_identifier_on_the_same_page(
    rows: pd.DataFrame,
) -> None:
    first = rows.iloc[0]
    assert first["page"] == "guide/page0"
    assert first["source"].endswith("(00).")
    for pair in rows[rows["source"].str.endswith(").")].itertuples():
        assert pair.source.rpartition("(")[2] == pair.target.rpartition("(")[2]


def test_a_pair_counts_once_and_only_where_it_is_a_translation(rows: pd.DataFrame) -> None:
    """24 pages of eight sentences, and one that all of them have; no code, no menu's name."""
    assert len(rows) == 24 * 8 + 1
    assert rows["source"].tolist().count("See also the menu Tools.") == 1
    assert "Sub Example As Object" not in set(rows["source"])
    assert "Help" not in set(rows["source"])


def test_longer_paragraphs_are_left_out() -> None:
    kept = data_set(words=5).read(RAW)
    assert kept["source"].str.split().str.len().max() == 5
    assert 0 < len(kept) < 193


def test_packages_that_have_nothing_in_common_but_code_are_refused() -> None:
    other = {**RAW, "french": tiny.SAMPLES / "libreoffice-help-en-us_4%3a7.4.7-1+deb12u14.deb"}
    with pytest.raises(UserError, match="no translated paragraph of at most 14 words"):
        data_set().read(other)


def test_an_archive_without_help_pages_is_refused_by_its_name(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "other.tar", "w") as archive:
        archive.add(tiny.SAMPLES / "table.csv", "usr/share/libreoffice/help/fr/text/table.csv")
    with pytest.raises(UserError, match=r"other\.tar has no pages"):
        pages(tmp_path / "other.tar")


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (["Choose ", "Format - Rows", "."], "Choose Format - Rows."),
        (["text", "A"], "text A"),
        (["H", "2", "O"], "H 2 O"),
        (["\n  two\n", " lines ", ""], "two lines"),
        ([], ""),
    ],
)
def test_tags_do_not_glue_words_together(parts: list[str], text: str) -> None:
    assert joined(parts) == text


def test_paragraphs_of_a_page_by_identifier() -> None:
    page = (
        '<html><body><h2 id="hd_id1">Fen\u00eatre</h2><p>none</p><p id="bm_id2">mark</p>'
        '<p id="par_id3">a<br>b <em>c</em></p><p id="par_id3">again</p></body></html>'
    )
    assert paragraphs(page.encode()) == {"hd_id1": "Fen\u00eatre", "par_id3": "a b c"}


def test_a_missing_parser_is_told_with_the_extra_that_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "lxml", None)
    with pytest.raises(UserError, match=r"^lxml is not installed; .* -e '.\[text\]'"):
        pages(RAW["english"])


def test_sentences_that_differ_in_numbers_and_case_have_the_same_key() -> None:
    assert letters("Opens page 2.") == letters("opens Page 12") == "openspage"
    assert letters("\u00c9t\u00e9") == "\u00e9t\u00e9"
    assert letters("1 + 2") == "1 + 2"


def test_no_page_is_on_two_sides_and_no_sentence_of_an_earlier_one_is_held_out() -> None:
    """The second costs most of this sample's held-out rows: its sentences repeat."""
    data = data_set()
    rows = data.read(RAW)
    group = pd.factorize(np.array(data.key(rows), object))[0]
    names = data.split(rows, group)
    by_split = {name: rows[names == name] for name in ("train", "validation", "test")}
    assert all(len(part) for part in by_split.values())
    sides = rows.assign(name=names)[names != NO_SPLIT].groupby("page")["name"].nunique()
    assert sides.max() == 1

    train, validation, test = (set(map(letters, part["source"])) for part in by_split.values())
    assert not train & validation
    assert not (train | validation) & test
    assert (names == NO_SPLIT).any()


def test_copies_are_dropped_from_the_later_split() -> None:
    names = np.array(["train", "validation", "test", "validation", "test", "test", ""], "<U10")
    group = np.array([1, 1, 1, 2, 2, 3, 3])
    kept = without_copies(names, group).tolist()
    assert kept == ["train", "", "", "validation", "", "test", ""]


def test_a_split_that_holds_nothing_but_copies_is_refused() -> None:
    names = np.array(["train", "validation", "test"], "<U10")
    with pytest.raises(UserError, match="leave the test split empty"):
        without_copies(names, np.array([1, 2, 1]))


def test_tokens_end_with_an_end_and_say_the_text_again(rows: pd.DataFrame, spec: DataSpec) -> None:
    data = data_set()
    made = tokenizer.load(spec.assets["tokenizer.json"])
    encoded = data.encode(rows, spec)["source"], data.encode_targets(rows, spec)["text"]
    for column, tokens in zip(("source", "target"), encoded, strict=True):
        assert [int(row[-1]) for row in tokens] == [END] * len(rows)
        assert [made.decode(row.tolist()) for row in tokens] == rows[column].tolist()
    assert max(map(len, encoded[0])) == spec.inputs["source"].longest
    assert max(map(len, encoded[1])) == spec.targets["text"].longest
    assert spec.outputs == made.get_vocab_size() == 320


def test_a_served_text_may_be_empty_but_must_be_a_text(spec: DataSpec) -> None:
    (tokens,) = data_set().encode(pd.DataFrame({"source": [""]}), spec)["source"]
    assert tokens.tolist() == [END]
    with pytest.raises(UserError, match="row 2  column source  is 3; expected a text"):
        data_set().encode(pd.DataFrame({"source": ["a", 3]}), spec)
    with pytest.raises(UserError, match="source"):
        data_set().encode(pd.DataFrame({"text": ["a"]}), spec)
