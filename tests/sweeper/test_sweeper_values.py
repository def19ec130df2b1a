"""What is chosen is what the job gets: values, groups, added and deleted keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sweeping
from omegaconf import DictConfig, OmegaConf
from sweeping import Sweep


def note(cfg: DictConfig) -> float:
    """Writes the configuration down that the job got."""
    with Path("got").open("a") as file:
        print(json.dumps(OmegaConf.to_container(cfg, resolve=True)), file=file)
    return 0.0


def got(folder: Path) -> list[Any]:
    return [json.loads(line) for line in sweeping.lines(folder / "got")]


WORDS: list[Any] = [
    "a b",
    "x,y",
    "it's",
    'say "no"',
    "k=v",
    "back\\slash",
    "ends\\",
    "日本",
    "null",
    "3",
    "",
    "{a",
    " blank ",
]


def quoted(word: str) -> str:
    """As one writes it in Hydra's grammar; backslashes count in front of a quote only."""
    head = word.rstrip("\\")
    inner = head.replace("'", "\\'") + "\\" * (2 * (len(word) - len(head)))
    return f"'{inner}'"


@pytest.mark.slow
def test_a_word_reaches_the_job_letter_by_letter(sweep: Sweep, tmp_path: Path) -> None:
    arguments = f"x={','.join(quoted(word) for word in WORDS)}"
    done = sweep(note, arguments, "hydra/sweeper/sampler=grid", "hydra.sweeper.n_trials=50")
    assert done.code == 0, done.err
    assert [item["x"] for item in got(tmp_path)] == WORDS


@pytest.mark.slow
def test_numbers_booleans_null_lists_and_dicts_reach_the_job(sweep: Sweep, tmp_path: Path) -> None:
    values = "null,true,1e-7,[1,2],{a:3}"
    sweep(note, f"x={values}", "hydra/sweeper/sampler=grid", "hydra.sweeper.n_trials=50")
    assert [item["x"] for item in got(tmp_path)] == [None, True, 1e-7, [1, 2], {"a": 3}]


@pytest.mark.slow
def test_a_cast_changes_what_the_job_gets(sweep: Sweep, tmp_path: Path) -> None:
    sweep(note, "x=str(choice(1,2))", "y=float(choice(1))", "hydra/sweeper/sampler=grid")
    assert [(item["x"], item["y"]) for item in got(tmp_path)] == [("1", 1.0), ("2", 1.0)]


@pytest.mark.slow
def test_keys_are_added_and_deleted(sweep: Sweep, tmp_path: Path) -> None:
    sweep(note, "+new=choice(1,2)", "++x=choice(3,4)", "~y", "+z=5", "hydra.sweeper.n_trials=1")
    (item,) = got(tmp_path)
    assert (item["new"] in (1, 2), item["x"] in (3, 4), "y" in item, item["z"]) == (
        True,
        True,
        False,
        5,
    )


@pytest.mark.slow
def test_the_command_line_wins_over_params(sweep: Sweep, tmp_path: Path) -> None:
    params = {"x": "range(1,3)", "y": "range(1,3)"}
    sweep(
        note,
        "x=7",
        "y=choice(8,9)",
        "hydra.sweeper.n_trials=2",
        hydra={"sweeper": {"params": params}},
    )
    assert all(item["x"] == 7 and item["y"] in (8, 9) for item in got(tmp_path))


@pytest.mark.slow
def test_params_may_hold_null_booleans_and_ranges(sweep: Sweep, tmp_path: Path) -> None:
    params = {"x": None, "y": True, "+z": "choice(1,2)"}
    sweep(note, "hydra.sweeper.n_trials=1", hydra={"sweeper": {"params": params}})
    (item,) = got(tmp_path)
    assert (item["x"], item["y"]) == (None, True)


@pytest.fixture
def groups(tmp_path: Path) -> None:
    """Two databases to choose from."""
    (tmp_path / "db").mkdir()
    for name, port in {"mysql": 3306, "postgresql": 5432}.items():
        (tmp_path / f"db/{name}.yaml").write_text(f"name: {name}\nport: {port}\nuser: root\n")
    sweeping.configure(
        tmp_path, defaults=["_self_", {"db": "mysql"}, {"override hydra/sweeper": "optuna"}]
    )


@pytest.mark.usefixtures("groups")
@pytest.mark.parametrize(
    "choice", ["choice(mysql,postgresql)", pytest.param("glob(*)", marks=pytest.mark.slow)]
)
def test_a_group_is_searched_and_a_value_in_it_set(
    sweep: Sweep, tmp_path: Path, choice: str
) -> None:
    sweep(note, f"db={choice}", "db.user=someone", "hydra/sweeper/sampler=grid")
    assert [item["db"] for item in got(tmp_path)] == [
        {"name": "mysql", "port": 3306, "user": "someone"},
        {"name": "postgresql", "port": 5432, "user": "someone"},
    ]


def words(cfg: DictConfig, trial: Any) -> None:
    trial.suggest_categorical("x", ["a,b", "c d", "choice(1)"])


@pytest.mark.slow
def test_a_word_that_a_function_suggests_reaches_the_job(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    sweep(
        note,
        "y=1,2",
        "hydra.sweeper.custom_search_space=test_sweeper_values.words",
        "hydra.sweeper.n_trials=3",
    )
    assert {item["x"] for item in got(tmp_path)} <= {"a,b", "c d", "choice(1)"}
    assert len(got(tmp_path)) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["zz=choice(1,2)"], "zz"),
        (["x=choice(1,2)", "db=choice(mysql,orcl)"], "db"),
        (["x=interval(2,1)"], "is empty"),
        (["x=range(1,1)"], "is empty"),
        (["x=tag(log,interval(0,1))"], "x=tag"),
        (["x=glob(*)"], "nothing to choose from"),
    ],
)
def test_a_wrong_key_or_range_ends_with_2_before_a_worker_starts(
    sweep: Sweep, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = sweep(note, *arguments)
    assert (done.code, done.out, got(tmp_path)) == (2, "", [])
    assert message in done.err
    assert len(done.err.splitlines()) <= 2
    assert "Traceback" not in done.err
