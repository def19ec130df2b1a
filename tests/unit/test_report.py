"""The pages say what the files say, hide what must be hidden, and load nothing from elsewhere."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from scipy.stats import binomtest, norm

from goodfit.errors import UserError
from goodfit.records import Chart, Comparison, Interval, Training
from goodfit.reporting import charts, error_charts, results, words
from goodfit.reporting.charts import Row
from goodfit.stages import report
from goodfit.tracking import restore

MODES = {
    "class": {"accuracy": "max", "log_loss": "min"},
    "series": {"mae": "min"},
    "number": {"rmse": "min"},
    "boxes": {"ap50": "max", "map": "max"},
}
EVIL = "dull <script>alert('x')</script> & loud"


def score(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.02, "high": value + 0.02}


def charts_of(kind: str) -> list[dict[str, Any]]:
    if kind == "class":
        calibration = {
            "ece": 0.04,
            "count": [0] * 9 + [20],
            "confidence": [0] * 9 + [0.95],
            "accuracy": [0] * 9 + [0.9],
        }
        matrix = {"counts": [[9, 1], [1, 9]], "labels": ["no", "yes"]}
        return [chart("confusion", matrix), chart("reliability", calibration)]
    if kind == "boxes":
        curves = [["network", [1.0] * 101], ["old method", [0.0] * 101]]
        areas = [["network", [0.5, 0.2]], ["old method", [0.1, 0.0]]]
        return [
            chart("precision_recall", {"curves": curves}),
            chart("by_overlap", {"areas": areas, "overlaps": [0.5, 0.55]}),
        ]
    spread = {
        "counts": [1, 3, 1],
        "edges": [-3.0, -1.0, 1.0, 3.0],
        "mean": 0.1,
        "within": {"0.5": 0.5, "0.9": 2.0},
    }
    more = {
        "number": chart("scatter", {"prediction": [2.0] * 5, "target": [1.0] * 5, "samples": 5}),
        "series": chart(
            "by_step", {"errors": [["network", [0.1, 0.2, 0.3]], ["old method", [1.0] * 3]]}
        ),
    }
    return [chart("residuals", spread), more[kind]]


def typical_of(kind: str) -> list[dict[str, Any]]:
    curves = [["truth", [1.0] * 3], ["network", [2.0] * 3], ["old method", [0.0] * 3]]
    return [chart("forecast", {"curves": curves, "row": 4})] if kind == "series" else []


def chart(form: str, numbers: dict[str, Any]) -> dict[str, Any]:
    return {"form": form, "title": f"the {form}", "data": numbers}


def example_of(kind: str) -> dict[str, Any]:
    if kind == "class":
        statements = [
            {"who": "truth", "value": "no", "probability": 0.0001},
            {"who": "network", "value": "yes", "probability": 0.9999},
        ]
        answer: dict[str, Any] = {"statements": statements, "wrong": True}
        return {"row": 3, "loss": 9.2, "answer": answer, "exhibit": {"text": EVIL}}
    if kind == "boxes":
        boxes = [
            {"who": "truth", "corners": [1, 2, 9, 9], "label": EVIL, "hit": False},
            {"who": "network", "corners": [3, 4, 8, 8], "label": "x", "hit": False, "score": 0.5},
        ]
        answer = {"boxes": boxes, "size": [16, 12]}
        exhibit = {"picture": "UE5H", "picture_format": "jpeg"}
        return {"row": 3, "loss": 0.2, "answer": answer, "exhibit": exhibit}
    if kind == "series":
        answer = {"curves": [["truth", [1.0, 2.0, 3.0]], ["network", [1.1, 2.2, 3.3]]]}
        exhibit: dict[str, Any] = {"curve": [0.0, 0.5], "start": "2014-11-07 00:00:00"}
    else:
        answer = {"statements": [{"who": "truth", "value": 1.0}, {"who": "network", "value": 2.0}]}
        exhibit = {"cells": {"width": [3.5, -2.0]}}
    return {"row": 3, "loss": 0.2, "answer": answer, "exhibit": exhibit}


def put(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def make(
    name: str, kind: str = "class", outcome: int = 0, trivial: int = 1, secret: str = ""
) -> None:
    """The files of an evaluated experiment, in the current folder; the second of 3 epochs is kept.

    `outcome` and `trivial` are the comparisons with the strong and with the trivial baseline.
    """
    key = next(iter(MODES[kind]))
    put(
        Path(f"report/{name}/evaluation/evaluation.json"),
        evaluation_of(name, kind, outcome, trivial),
    )
    put(Path(f"models/{name}/train.json"), training_of(kind))
    rows = [f"{epoch},{loss},0.5,{loss},0.6,1.5" for epoch, loss in enumerate((0.9, 0.4, 0.6))]
    head = f"epoch,val/loss,train/loss,val/{key},train/{key},epoch_seconds"
    put(Path(f"models/{name}/history.csv"), "\n".join([head, *rows]) + "\n")
    put(
        Path(f"models/{name}/config.yaml"),
        f"data:\n  test: 0.2\nnote: '{secret}'\nurl: https://me:pass@host/x\n",
    )
    labels = ["no", "yes"] if kind == "class" else []
    put(Path(f"models/{name}/spec.json"), spec_of(kind, labels))
    put(Path(f"data/prepared/{name}/manifest.json"), manifest_of(labels))


def evaluation_of(name: str, kind: str, outcome: int, trivial: int) -> dict[str, Any]:
    against, baselines = [], []
    methods = [
        ("guess", "trivial", trivial),
        ("old method", "strong", outcome),
        ("older method", "other", 1),
    ]
    for title, role, result in methods:
        method = {"title": title, "role": role}
        against.append({**method, "outcome": result, "difference": score(0.03 * result)})
        baselines.append({**method, "scores": {item: score(0.6) for item in MODES[kind]}})
    return {
        "experiment": name,
        "task": "T",
        "model": "Net",
        "subject": kind,
        "score": next(iter(MODES[kind])),
        "modes": MODES[kind],
        "samples": 20,
        "cluster": "week",
        "clusters": 5,
        "resamples": 100,
        "seconds_per_1000": 0.4,
        "network": {item: score(0.7) for item in MODES[kind]},
        "baselines": baselines,
        "verdict": {
            "word": "ties with",
            "text": "",
            "against": against,
            "worse_than_trivial": trivial < 0,
        },
        "charts": charts_of(kind),
        "typical": typical_of(kind),
        "examples": [example_of(kind)],
        "ordinary": [example_of(kind) | {"row": 7}] if kind == "boxes" else [],
        "test_sha256": "t",
        "weights_sha256": "w",
    }


def training_of(kind: str) -> dict[str, Any]:
    names = ("loss", *MODES[kind])
    return {
        "run_id": "r",
        "monitor": "val/loss",
        "epochs": 3,
        "best_epoch": 1,
        "steps": 30,
        "scores": {f"{split}/{item}": 0.7 for split in ("train", "val", "gap") for item in names},
        "cost": {"seconds": 61.0, "parameters": 1234, "trainable": 1234, "peak_memory_mb": 600},
        "machine": "a processor, 2 cores",
        "commit": "c0ffee",
        "dirty": "false",
        "weights_sha256": "w",
    }


def spec_of(kind: str, labels: list[str]) -> dict[str, Any]:
    field = {"shape": [4], "dtype": "float32"}
    return {
        "data": "goodfit.data.nowhere.Nothing",
        "kind": kind,
        "outputs": 3 if kind == "series" else 2,
        "inputs": {"past" if kind == "series" else "numbers": field},
        "targets": {"target": field | {"labels": labels}},
        "facts": {},
        "assets": {},
    }


def manifest_of(labels: list[str]) -> dict[str, Any]:
    counts = dict.fromkeys(labels or ["samples"], 10)
    return {
        "counts": dict.fromkeys(("train", "validation", "test"), counts),
        "copies": {"rows": 2, "with_another_target": 1},
        "alike_after_encoding": 0,
        "in_no_split": 0,
        "raw_sha256": {"table": "a"},
        "sha256": "b",
        "test_sha256": "t",
        "files": {},
        "made_with": {},
        "split": "at random",
    }


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)


def run(name: str) -> str:
    report.stage(SimpleNamespace(name=name))  # type: ignore[arg-type]
    return Path(f"report/{name}/index.html").read_text()


def pictures(page: str) -> list[ET.Element]:
    texts = re.findall(r"<svg.*?</svg>", page, re.S)
    return [ET.fromstring(text) for text in texts]  # noqa: S314 - our own text


def test_text_of_an_example_is_escaped() -> None:
    make("films")
    page = run("films")
    assert "<script" not in page
    assert "&lt;script&gt;" in page


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


@pytest.mark.parametrize("may_overflow", [False, True])
def test_interval_plots_are_monotone_in_the_values(may_overflow: bool) -> None:
    rows = []
    for value in (-3.0, 0.1, 0.11, 0.5, 40.0):
        far = may_overflow and abs(value) > 1
        rows.append(Row(str(value), value, value - 0.01, value + 0.01, "", may_overflow=far))
    chart = ET.fromstring(charts.forest_plot("t", "d", rows, label="x"))  # noqa: S314
    pixels = [float(str(dot.get("cx"))) for dot in chart.iter("circle")]
    arrows = [item for item in chart.iter("polyline") if item.get("data-value")]
    assert pixels == sorted(pixels)
    assert all(0 <= pixel <= charts.WIDTH for pixel in pixels)
    assert (len(pixels), len(arrows)) == ((3, 2) if may_overflow else (5, 0))


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (0.961, 0.993), (-7.0, 12_345.0), (1e-7, 3e-7), (3.0, 3.1)]
)
def test_ticks_lie_inside_and_their_labels_differ(low: float, high: float) -> None:
    values = charts.ticks(low, high)
    labels = charts.tick_labels(values)
    assert 2 <= len(values) <= 7
    assert all(low - 1e-9 <= value <= high + 1e-9 for value in values)
    assert len(set(labels)) == len(labels)


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


@pytest.mark.parametrize("mode", ["max", "min"])
@pytest.mark.parametrize(
    ("gap", "said"),
    [(0.01, "no clear overfitting"), (0.3, "sign of overfitting"), (-0.3, "better")],
)
def test_the_gap_is_judged_in_the_scores_direction(mode: str, gap: float, said: str) -> None:
    signed = -gap if mode == "max" else gap
    make("some")
    scores = {"train/s": 1.0, "val/s": 1.0 + signed, "gap/s": signed}
    training = replace(Training.read(Path("models/some/train.json")), scores=scores)
    assert said in words.fit(training, "s", mode, half_width=0.05)


def test_a_worse_difference_is_turned_around_with_its_bounds() -> None:
    difference = Interval(-0.03, -0.05, -0.01)
    item = Comparison(title="old", role="strong", outcome=-1, difference=difference)
    assert words.difference(item) == "worse by 0.030 [0.010, 0.050]; the interval excludes zero"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.96460, "0.965"),
        (12345.6, "12,346"),
        (0, "0"),
        (-0.00476, "\N{MINUS SIGN}0.00476"),
        (3e-7, "<0.0001"),
    ],
)
def test_numbers_have_sensible_digits(value: float, written: str) -> None:
    assert words.number(value) == written


def test_probabilities_never_look_certain() -> None:
    written = [words.probability(value) for value in (0.9999994, 5e-7, 1.0, 0.5)]
    assert written == [">0.999", "<0.001", "1.000", "0.500"]


def test_wilson_interval_holds_the_share_and_shrinks_with_the_count() -> None:
    for share in (0.0, 0.3, 1.0):
        low, high = error_charts.wilson(share, 10)
        narrow_low, narrow_high = error_charts.wilson(share, 1000)
        assert 0 <= low <= narrow_low <= share <= narrow_high <= high <= 1


@pytest.mark.parametrize(("right", "count"), [(0, 1), (0, 10), (7, 10), (10, 10), (943, 1000)])
def test_wilson_interval_is_that_of_scipy(right: int, count: int) -> None:
    level = norm.cdf(error_charts.Z) - norm.cdf(-error_charts.Z)  # 95.0004 %: 1.96 is rounded
    expected = binomtest(right, count).proportion_ci(confidence_level=level, method="wilson")
    interval = error_charts.wilson(right / count, count)
    assert interval == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_chart_of_an_unknown_form_is_refused_by_its_name() -> None:
    chart = Chart("pie", "Shares", {})
    with pytest.raises(UserError, match="a chart of the form 'pie', which no report can draw"):
        error_charts.draw(chart, unit=None, step=None)


def test_the_stage_needs_no_heavy_library() -> None:
    import subprocess
    import sys

    heavy = "torch", "mlflow", "pandas", "matplotlib", "pytorch_lightning", "scipy"
    code = (
        f"import sys, goodfit.reporting.page; sys.exit(', '.join(set({heavy}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_curves_keep_their_order_in_a_file_though_keys_are_sorted(tmp_path: Path) -> None:
    """The network's curve is drawn first and in its colour, whatever the baselines are called."""
    errors = [("network", [1.0, 3.0]), ("a method", [2.0, 2.0])]
    written = Chart("by_step", "Error by step", {"errors": errors})
    written.write(tmp_path / "chart.json")
    drawn = error_charts.draw(Chart.read(tmp_path / "chart.json"), unit=None, step=None)
    assert "The network&#39;s error is largest at step 2: 3.00." in drawn.svg


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


@pytest.mark.parametrize(("title", "lines"), [("than the mean", 1), ("than " + 28 * "x", 2)])
def test_a_long_title_stands_above_its_numbers_not_in_them(title: str, lines: int) -> None:
    numbers = "0.0062 [-0.0078, 0.0195]"
    rows = [Row(title, 0.0062, -0.0078, 0.0195, numbers, strong=True)]
    chart = ET.fromstring(charts.forest_plot("t", "d", rows, label="x"))  # noqa: S314
    heights = {part.get("y") for part in chart.iter() if part.text in (title, numbers)}
    assert len(heights) == lines


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
    make("some")
    put(Path("build/some.json"), {"tracking": {"uri": "sqlite:///mlflow.db"}})
    for file in ("weights.pt", "spec.json", "config.yaml"):
        put(Path("models/some", file), "")
    if content is not None:
        Path("mlflow.db").write_bytes(content)
    if not content:
        assert "its run" in restore.lacking("some")
        return
    with pytest.raises(UserError, match=r"mlflow\.db cannot be read: file is not a database"):
        restore.lacking("some")
