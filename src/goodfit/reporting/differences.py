"""Where two texts differ, marked for a reader."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from markupsafe import Markup, escape

_WORD = re.compile(r"\w+|[^\w\s]|\s+")  # a word, a single mark, or what is between them


def marked(first: str, second: str) -> tuple[Markup, Markup]:
    """Both texts, each with <mark> around the words and marks that the other lacks there."""
    words = _WORD.findall(first), _WORD.findall(second)
    # autojunk leaves out what is frequent in texts of 200 words and more: spaces, at first
    matcher = SequenceMatcher(None, *words, autojunk=False)
    left, right = Markup(), Markup()
    for kind, start, end, other_start, other_end in matcher.get_opcodes():
        left += _part(words[0][start:end], is_equal=kind == "equal")
        right += _part(words[1][other_start:other_end], is_equal=kind == "equal")
    return left, right


def _part(words: list[str], *, is_equal: bool) -> Markup:
    """The words in a row; those that differ in one mark, without the spaces at its ends."""
    text = "".join(words)
    inner = text.strip()
    if is_equal or not inner:
        return escape(text)
    before, after = text[: text.index(inner)], text[text.index(inner) + len(inner) :]
    return escape(before) + Markup("<mark>{}</mark>").format(inner) + escape(after)
