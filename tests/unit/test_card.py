"""The card of data says what the manifest says, of every kind of data, as the page does."""

from __future__ import annotations

import json
import re
from html import unescape
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from evaluated import make, manifest_of

from goodfit.records import Manifest
from goodfit.stages import report
from goodfit.store import card
from goodfit.tracking import describe

FOUND = {"what": "'a|b' drifts", "cost": "less", "answer": "data.drop=[a]", "rows": [3, 4]}
TABLE = {
    **manifest_of(["no", "yes"]),
    "missing": {"train": {"age": 5}, "validation": {"age": 1}, "test": {"age": 4, "<fare>": 20}},
    "columns": [
        {
            "name": "age",
            "read_as": "number",
            "why": "numbers",
            "otherwise": "data.columns.age=category",
        },
        {"name": "id", "read_as": None, "why": "it numbers\nthe rows"},
    ],
    "findings": [FOUND],
}
WINDOWS = {**manifest_of([]), "copies": {"rows": None, "with_another_target": None}}
PICTURES = {**manifest_of(["cat", "dog"]), "left_out": {"cat/1.png": "it is cut"}, "in_no_split": 2}


def of(content: dict[str, Any]) -> Manifest:
    # a file has its keys by the alphabet
    return Manifest.of(json.loads(json.dumps(content, sort_keys=True)), Path("manifest.json"))


def test_a_card_of_a_table_has_sources_samples_missing_cells_findings_and_columns() -> None:
    text = card.markdown("loans", of(TABLE))
    assert text.startswith("# Data of loans\n\nPrepared as b.\n\n## Sources\n")
    for line in (
        "| table | a |",
        "|  | train | validation | test |",
        "| all | 20 | 20 | 20 |",
        "| no | 10 (50 %) | 10 (50 %) | 10 (50 %) |",
        "at random",
        "- 'a\\|b' drifts (rows 3, 4); if ignored, less. Answer: data.drop=\\[a\\]",
        "| \\<fare\\> | 0 (0 %) | 0 (0 %) | 20 (100 %) |",
        "| age | 5 (25 %) | 1 (5 %) | 4 (20 %) |",
        "what each of 2 is read as; 1 left out",
        "| id | left out | it numbers the rows |",
        "| age | number | numbers; otherwise: data.columns.age=category |",
    ):
        assert line in text.splitlines(), line


@pytest.mark.parametrize(
    ("content", "titles", "said"),
    [
        (WINDOWS, [], "not looked for: windows of a series overlap by design"),
        (PICTURES, ["Left out", "In no split"], "| cat/1.png | it is cut |"),
        (
            PICTURES,
            ["Left out", "In no split"],
            "fall on one side of the split, or are in no split",
        ),
    ],
)
def test_a_card_of_other_data_has_what_their_manifest_has(
    content: dict[str, Any], titles: list[str], said: str
) -> None:
    text = card.markdown("x", of(content))
    always = ["Sources", "Samples", "Split", "Copies", "Alike to the network"]
    assert sorted(re.findall(r"(?m)^## (.*)$", text)) == sorted([*always, *titles])
    assert said in text


def test_the_page_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make("loans")
    Path("data/prepared/loans/manifest.json").write_text(json.dumps(TABLE))
    report.stage(SimpleNamespace(name="loans", title=None, about=None))  # type: ignore[arg-type]
    page = re.sub(r"<[^>]*>", "", Path("report/loans/index.html").read_text())
    for part in card.parts(of(TABLE)):
        for text in (part.title, part.text, *part.items, *chain.from_iterable(part.rows)):
            assert text in unescape(page)


def test_a_run_gets_one_card() -> None:
    written: dict[str, str] = {}
    run = SimpleNamespace(text=written.__setitem__)
    describe.log_manifest(run, "loans", of(TABLE))  # type: ignore[arg-type]
    assert written["data_card.md"] == card.markdown("loans", of(TABLE))
    assert list(written) == ["lineage/manifest.json", "data_card.md"]
