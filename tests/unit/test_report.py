"""The pages say what the files say, hide what must be hidden, and load nothing from elsewhere."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from evaluated import make, put

from goodfit.errors import UserError
from goodfit.reporting import results
from goodfit.stages import report
from goodfit.tracking import lookup


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)


def run(name: str, title: str | None = None, about: str | None = None) -> str:
    report.stage(SimpleNamespace(name=name, title=title, about=about))  # type: ignore[arg-type]
    return Path(f"report/{name}/index.html").read_text()


def pictures(page: str) -> list[ET.Element]:
    texts = re.findall(r"<svg.*?</svg>", page, re.S)
    return [ET.fromstring(text) for text in texts]  # noqa: S314 - our own text


def test_text_of_an_example_is_escaped() -> None:
    make("films")
    page = run("films")
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def heading(page: str) -> tuple[str, str]:
    """The title of a page and the sentence below it."""
    found = re.search(r'<h1>(.*?)</h1>\s*<p class="about">(.*?)</p>', page, re.S)
    assert found
    return found[1], found[2]


@pytest.mark.fault(67)
@pytest.mark.parametrize(
    ("data", "about"),
    [
        ("goodfit.data.table.Table", ""),
        (
            "goodfit.data.breast_cancer.BreastCancer",
            "569 breast masses, 30 measurements of cell nuclei each: malignant or benign.",
        ),
    ],
)
def test_a_page_has_the_users_words_and_of_anybodys_table_none_of_ours(
    data: str, about: str
) -> None:
    make("loans")
    file = Path("models/loans/spec.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"data": data}))
    assert heading(run("loans")) == ("loans", about)
    own = "Who pays <back>", "1,200 loans of 2025."
    assert heading(run("loans", *own)) == ("Who pays &lt;back&gt;", own[1])


def test_columns_that_lack_cells_are_listed_by_split_those_of_test_alone_too() -> None:
    make("films")
    file = Path("data/prepared/films/manifest.json")
    missing = {"train": {"age": 5}, "validation": {"age": 1}, "test": {"age": 4, "<fare>": 20}}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"missing": missing}))
    section = re.search(r'aria-label="Missing cells".*?</table>', run("films"), re.S)
    assert section
    rows = re.findall(r"<tr><th scope=.row.>(.*?)</th>(.*?)</tr>", section[0])
    words = {name: re.sub(r"<[^>]*>", "", cells) for name, cells in rows}
    assert words == {
        "&lt;fare&gt;": "0 (0 %)0 (0 %)20 (100 %)",
        "age": "5 (25 %)1 (5 %)4 (20 %)",
    }


@pytest.mark.fault(67)
def test_each_cell_of_all_scores_names_its_column_for_a_phone() -> None:
    make("films")
    table = re.search(r'<table class="stacked">(.*?)</table>', run("films"), re.S)
    assert table
    columns = re.findall(r'<th scope="col" class="n">(.*?)<', table[1])
    labels = re.findall(r'<td class="n" data-label="(.*?)">', table[1])
    assert labels == columns * table[1].count('<th scope="row">')
    assert len(columns) > 2


def test_another_baseline_stands_behind_the_strong_one_and_on_its_own_page_alone() -> None:
    make("films")
    page = run("films")
    titles = ["old method", "older method", "guess (trivial)"]
    first = next(item for item in pictures(page) if "older method" in "".join(item.itertext()))
    said = "".join(first.itertext())
    places = [said.index(title) for title in titles]
    assert places == sorted(places)
    assert "older method" not in Path("report/index.html").read_text()


def test_boxes_lie_on_the_pictures_of_the_worst_and_of_ordinary_samples() -> None:
    make("trees", "boxes")
    page = run("trees")
    drawn = [item for item in pictures(page) if str(item[0].text).startswith("Test sample")]
    assert [item[0].text for item in drawn] == ["Test sample 3", "Test sample 7"]
    for picture in drawn:
        photo, *boxes = list(picture)[2:]
        assert photo.get("href") == "data:image/jpeg;base64,UE5H"
        assert [box.get("class") for box in boxes] == ["box network miss", "box truth miss"]
    assert "neither the best nor the worst" in page
    assert "<img" not in page
    assert "<script" not in page


@pytest.mark.parametrize("kind", ["class", "series", "number", "boxes"])
def test_pages_load_nothing_and_their_charts_are_xml_with_titles(kind: str) -> None:
    make("some", kind)
    for page in (run("some"), Path("report/index.html").read_text()):
        links = re.findall(r"(?:src|href)=[\"']([^\"']*)", page)
        assert all(link.startswith("data:") or link.endswith("index.html") for link in links)
        assert not re.search(r"url\(|@import|<script|//[a-z]+\.", page.split("<body>")[0])
        assert "://" not in "".join(links)
        assert len(page) < 300_000
        drawn = pictures(page)
        assert drawn
        assert all(item[0].tag == "title" and item[0].text for item in drawn)
        assert all(item[1].tag == "desc" for item in drawn)
        assert "nan" not in re.sub(r"[a-z]nan|nan[a-z]", "", page.lower())


def test_the_kept_epoch_is_the_one_marked() -> None:
    make("some")
    curves = [item for item in pictures(run("some")) if "by epoch" in str(item[0].text)]
    assert len(curves) == 2
    for chart in curves:
        (mark,) = [item for item in chart.iter("line") if item.get("class") == "mark"]
        assert mark.get("data-at") == "2"  # epoch 1, counted from one
        line = next(item for item in chart.iter("polyline") if "accent" in str(item.get("class")))
        points = [point.split(",") for point in str(line.get("points")).split()]
        assert float(points[1][0]) == float(str(mark.get("x1")))
        # the least loss is the lowest point: y grows downwards
        assert float(points[1][1]) == max(float(y) for _, y in points)


def test_missing_evaluation_is_the_users_to_mend() -> None:
    make("some")
    Path("report/some/evaluation/evaluation.json").unlink()
    with pytest.raises(UserError, match="dvc repro evaluate@some"):
        run("some")


def test_secrets_do_not_reach_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "canary-123456")
    make("some", secret="canary-123456")
    page = run("some")
    assert "canary" not in page
    assert "me:pass" not in page
    assert "note: &#39;***&#39;" in page


def test_comparison_lists_every_experiment_once() -> None:
    for name, outcome in (("first", 1), ("second", 0), ("third", -1)):
        make(name, outcome=outcome)
    Path("report/untrained/evaluation").mkdir(parents=True)
    put(Path("report/untrained/evaluation/evaluation.json"), {})
    run("second")
    page = Path("report/index.html").read_text()
    names = re.findall(r'<th scope="row">(?:<a href="[^"]*">)?(\w+)', page)
    assert names == ["first", "second", "third"]
    assert re.findall(r'href="(\w+)/index.html"', page) == ["second"]  # the others have no page yet
    assert [page.count(f"</i>{word}<") for word in ("beats", "ties with", "loses to")] == [1, 1, 1]


@pytest.mark.parametrize(("trivial", "warned"), [(-1, True), (0, False), (1, False)])
def test_worse_than_trivial_is_a_warning(trivial: int, warned: bool) -> None:
    make("some", trivial=trivial)
    assert ("worse than guess" in run("some")) == warned


def test_an_evaluation_of_other_test_data_is_a_warning() -> None:
    make("some")
    assert "do not belong together" not in run("some")
    path = Path("data/prepared/some/manifest.json")
    put(path, path.read_text().replace('"t"', '"other"'))
    assert "do not belong together" in run("some")


def judged(name: str, **verdict: Any) -> str:
    """The page of an experiment whose verdict has these keys."""
    make(name, trivial=0)
    path = Path(f"report/{name}/evaluation/evaluation.json")
    content = json.loads(path.read_text())
    content["verdict"] |= verdict
    put(path, content)
    return run(name)


@pytest.mark.fault(58)
def test_of_too_few_units_nothing_is_said_to_be_better() -> None:
    page = judged("some", word="too few to tell", too_few="test has 5 weeks, it takes 30")
    head = page.split("</header>")[0]
    assert "too few to tell</span>" in head
    assert "(test has 5 weeks, it takes 30) whether the network is better than old method" in head
    assert not re.search("beats|ties with|loses to|Warning", head)
    assert ">too few to tell<" in Path("report/index.html").read_text()


@pytest.mark.fault(59)
def test_a_network_with_one_answer_is_warned_of_in_red() -> None:
    page = judged("some", degenerate="it answers 'good' for every test sample")
    alerts = re.findall(r'class="alert".*?</p>', page)
    assert any("answers &#39;good&#39; for every test sample" in alert for alert in alerts)
    assert any("no better than trivial" in alert and "guess" in alert for alert in alerts)
    compared = Path("report/index.html").read_text()
    assert 'class="badge bad"><i aria-hidden="true">!</i>one answer for all<' in compared


def test_the_stage_needs_no_heavy_library() -> None:
    import subprocess
    import sys

    heavy = "torch", "mlflow", "pandas", "matplotlib", "pytorch_lightning", "scipy"
    code = (
        f"import sys, goodfit.reporting.page; sys.exit(', '.join(set({heavy}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_files_of_another_version_do_not_stop_the_pages_of_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    make("new")
    make("old")
    path = Path("report/old/evaluation/evaluation.json")
    put(path, {**json.loads(path.read_text()), "examples": "as before"})
    run("new")
    page = Path("report/index.html").read_text()
    assert re.findall(r'<th scope="row">(?:<a href="[^"]*">)?(\w+)', page) == ["new"]
    assert "old is left out of the comparison: report/old/" in capsys.readouterr().out


def test_a_broken_file_of_another_experiment_is_refused_not_left_out() -> None:
    make("new")
    make("cut")
    path = Path("report/cut/evaluation/evaluation.json")
    path.write_text(path.read_text()[:100])
    with pytest.raises(UserError, match=f"{path} is broken"):
        run("new")


@pytest.mark.parametrize("file", ["history.csv", "config.yaml"])
@pytest.mark.parametrize("text", [None, "", "epoch,a\n0,x\n"])
def test_a_missing_or_broken_file_of_the_model_is_named(file: str, text: str | None) -> None:
    make("some")
    path = Path("models/some") / file
    path.unlink()
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=str(path)):
        run("some")


def test_an_epoch_without_its_time_is_left_out_of_the_median() -> None:
    make("some")
    path = Path("models/some/history.csv")
    head, first, second, third = path.read_text().splitlines()
    put(path, "\n".join([head, first, second.removesuffix("1.5"), third.replace("1.5", "3.5")]))
    assert "<dt>An epoch (median)</dt><dd>2.5 s</dd>" in run("some")


def test_a_secret_in_the_section_of_the_data_stays_out_of_its_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MY_TOKEN", "canary-123456")
    make("some")
    put(Path("models/some/config.yaml"), "data:\n  test: 0.2\n  user: canary-123456\n")
    page = run("some")
    assert "canary" not in page
    assert "test 0.2, user ***" in page


def test_results_of_what_was_not_evaluated_are_the_users_to_make() -> None:
    put(Path("params.yaml"), "experiments: [some]\n")
    with pytest.raises(UserError, match=r"evaluation\.json does not exist"):
        results.write()


@pytest.mark.parametrize("content", [b"", b"no database", None])
def test_a_database_that_cannot_be_read_is_told_in_a_line(content: bytes | None) -> None:
    """An empty one is no fault: MLflow fills it."""
    wanted = lookup.Wanted("some", "a", frozenset(), "b", "c")
    if content is not None:
        Path("mlflow.db").write_bytes(content)
    if not content:
        assert lookup.look("sqlite:///mlflow.db", wanted) == lookup.Found()
        return
    with pytest.raises(UserError, match=r"mlflow\.db cannot be read: file is not a database"):
        lookup.look("sqlite:///mlflow.db", wanted)
