"""LibreOffice's help in English and French: 16,220 short paragraphs of 2,095 pages.

The text is MPL-2.0, from Debian's packages libreoffice-help-en-us and libreoffice-help-fr: the same
pages in both, and the same identifiers of paragraphs.

Letters: N paragraphs, B paragraphs that are encoded together, T tokens of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from goodfit.contract import END, DataSpec, Field
from goodfit.data import split
from goodfit.data.base import Array, DataSet, check_columns
from goodfit.data.faults import each
from goodfit.errors import UserError
from goodfit.records import Exhibit
from goodfit.schema import Count, Fraction, Source, Whole
from goodfit.system import tokenizer
from goodfit.system.archive import members
from goodfit.system.extras import needs

_PAGE = re.compile(r"/libreoffice/help/[^/]+/text/(.+)\.html$")
_PARAGRAPH = re.compile(r"(par|hd)_id")
_TAGS = ("p", "h1", "h2", "h3", "h4", "h5", "h6")
_FEWEST = 3  # words of a paragraph: shorter ones are names of menus, the same on many pages
_RESERVED = ("<pad>", "<unk>", "<end>")  # PAD, UNKNOWN and END


class LibreOfficeHelp(DataSet):
    """Paragraphs in English and what they are in French; a raw row has the column `source`.

    `words` are the most of a source, a target may have twice as many; `tokens` is the size of the
    vocabulary that both languages share.
    """

    sources: ClassVar[tuple[str, ...]] = ("english", "french")
    inputs = ("source",)
    targets = ("text",)
    kind = "text"
    modality = "text"
    label = "target"
    cluster = "page"
    rule = (
        "whole help pages on one side; of validation and test no paragraph "
        "whose letters are those of one in an earlier split"
    )

    def __init__(
        self,
        *,
        sources: Mapping[str, Source],
        words: Count,
        tokens: Count,
        test: Fraction,
        validation: Fraction,
        split_seed: Whole,
    ) -> None:
        super().__init__(sources=sources, test=test, validation=validation)
        self.words, self.tokens = words, tokens
        self.split_seed = split_seed

    def read(self, raw: Mapping[str, Path]) -> pd.DataFrame:
        """Each pair of paragraphs once, with the first page that has it.

        Raises:
            UserError: an archive has no help pages, or the two have no paragraphs in common.
        """
        english, french = (pages(raw[name]) for name in self.sources)
        rows: dict[tuple[str, str], str] = {}
        for page in sorted(english.keys() & french.keys()):
            for identifier, source in english[page].items():
                target = french[page].get(identifier, "")
                if self._is_translation(source, target):
                    rows.setdefault((source, target), page)
        if not rows:
            names = " and ".join(raw[name].name for name in self.sources)
            raise UserError(f"{names} have no translated paragraph of at most {self.words} words")

        table = [(page, source, target) for (source, target), page in rows.items()]
        return pd.DataFrame(table, columns=["page", "source", "target"])

    def split(self, rows: pd.DataFrame, duplicate_group: Array) -> Array:
        """Names of splits, (N,): whole pages, without what an earlier split has already.

        By page alone 4 % of test are sentences of train but for digits and case. Rows with the same
        number in `duplicate_group` (N,) have the same letters, see `key`.

        Raises:
            UserError: the shares leave a split without rows.
        """
        pages = rows["page"].to_numpy(str)
        strata = np.zeros(len(rows), int)
        names = split.grouped(pages, strata, self.test, self.validation, self.split_seed)
        return split.without_copies(names, duplicate_group)

    def clusters(self, rows: pd.DataFrame) -> Array:
        """The page of each paragraph, (N,)."""
        return pd.factorize(rows["page"])[0]

    def units(self, rows: pd.DataFrame, duplicate_group: Array) -> Array:
        """The page of each paragraph, (N,): joined by equal letters, nearly all would be one."""
        return self.clusters(rows)

    def key(self, rows: pd.DataFrame) -> list[bytes]:
        """The letters of the source: 'Opens page 2.' is 'opens page 12' once more."""
        return [letters(source).encode() for source in rows["source"]]

    def example(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The source is all that a caller needs to know."""
        return super().example(rows)[["source"]]

    def fit(self, train: pd.DataFrame) -> DataSpec:
        """The tokens of both languages in train, and the length of the longest text."""
        texts = [*train["source"], *train["target"]]
        content = tokenizer.learn(texts, self.tokens, _RESERVED)
        longest = {}
        for column in ("source", "target"):
            longest[column] = max(map(len, _encoded(train[column], content)))
        return DataSpec(
            data="goodfit.data.libreoffice.LibreOfficeHelp",
            kind=self.kind,
            outputs=tokenizer.load(content).get_vocab_size(),
            inputs={"source": Field((None,), "int64", longest=longest["source"])},
            targets={"text": Field((None,), "int64", longest=longest["target"])},
            assets={tokenizer.FILE: content},
        )

    @staticmethod
    def encode(rows: pd.DataFrame, spec: DataSpec) -> dict[str, list[Array]]:
        """`source`: B arrays (T,) of tokens, each ending with `END`.

        Raises:
            UserError: the column `source` is missing, or a cell is no text.
        """
        check_columns(rows, ["source"])
        sources = each(rows["source"], _text)
        return {"source": _encoded(sources, spec.assets[tokenizer.FILE])}

    def encode_targets(self, rows: pd.DataFrame, spec: DataSpec) -> dict[str, list[Array]]:
        """`text`: B arrays (T,) of tokens, each ending with `END`."""
        return {"text": _encoded(rows["target"], spec.assets[tokenizer.FILE])}

    @staticmethod
    def show(sample: Mapping[str, Array], row: pd.Series[Any], spec: DataSpec) -> Exhibit:
        """The paragraph as it was written, not its tokens (T,)."""
        return Exhibit(text=str(row["source"]))

    def _is_translation(self, source: str, target: str) -> bool:
        """Both have a fitting number of words, and differ: 8 % are code, or not translated yet."""
        fits = _FEWEST <= len(source.split()) <= self.words
        return fits and _FEWEST <= len(target.split()) <= 2 * self.words and source != target


def pages(archive: Path) -> dict[str, dict[str, str]]:
    """The paragraphs of each help page by identifier, in the order of the page.

    Raises:
        UserError: the archive has no help pages, or the extra `text` is not installed.
    """
    found = {}
    for name, content in members(archive):
        page = _PAGE.search(name)
        if page:
            found[page[1]] = paragraphs(content)
    if not found:
        raise UserError(f"{archive.name} has no pages libreoffice/help/<language>/text/*.html")
    return found


def paragraphs(content: bytes) -> dict[str, str]:
    """The text of each paragraph and heading of a page by its identifier; the first one counts.

    Raises:
        UserError: the extra `text` is not installed.
    """
    with needs("text"):
        from lxml import html

    # the page says so itself, but in a tag that the parser of a fragment passes over
    parser = html.HTMLParser(encoding="utf-8")
    texts: dict[str, str] = {}
    for element in html.document_fromstring(content, parser=parser).iter(*_TAGS):
        identifier = element.get("id") or ""
        if _PARAGRAPH.match(identifier):
            texts.setdefault(identifier, joined(element.itertext()))
    return texts


def joined(parts: Iterable[str]) -> str:
    """The text of an element's parts, with a space where a tag alone divides two words."""
    text = ""
    for part in parts:
        if text[-1:].isalnum() and part[:1].isalnum():
            text += " "
        text += part
    return " ".join(text.split())


def letters(text: str) -> str:
    """The letters of a text in lower case; the text itself where it has none."""
    return "".join(filter(str.isalpha, text.lower())) or text


def _text(cell: Any) -> str:
    if not isinstance(cell, str):
        raise UserError(f"is {cell!r}; expected a text")
    return cell


def _encoded(texts: Iterable[str], content: bytes) -> list[Array]:
    """Tokens of each text, with `END` behind the last: no text is empty."""
    made = tokenizer.load(content)
    return [np.array([*made.encode(text).ids, END], np.int64) for text in texts]
