"""Sweeps on several machines share a study on a real PostgreSQL or MariaDB, and outlive a loss."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import servers
import studies
import sweeping
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import NullPool, create_engine, text

pytestmark = pytest.mark.slow
HERE = [
    pytest.param(
        kind, marks=pytest.mark.skipif(bool(lacking := servers.missing(kind)), reason=lacking)
    )
    for kind in servers.KINDS
]
# a machine is known by the name that it has for itself
ELSEWHERE = "import os, socket\nsocket.gethostname = lambda: os.environ.get('MACHINE', 'here')\n"
WAITS = """
with open("begun", "a") as file:
    print(cfg.x, file=file)
while os.environ["MACHINE"] == "lost":
    time.sleep(0.1)
return cfg.x
"""


@pytest.fixture(scope="module", params=HERE)
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    with servers.server(request.param) as address:
        yield address


@pytest.fixture
def url(server: str, request: pytest.FixtureRequest) -> str:
    """An empty database for each test."""
    name = request.node.originalname[:60]
    engine = create_engine(
        server
        + {"postgresql": "postgres", "mysql": "mysql"}[request.node.callspec.params["server"]],
        isolation_level="AUTOCOMMIT",
        poolclass=NullPool,
    )
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    return server + name


def app(folder: Path, body: str, url: str, **sweeper: object) -> Path:
    made = sweeping.app(folder, body, hydra={"sweeper": {"storage": url, **sweeper}})
    (made / "app.py").write_text(ELSEWHERE + (made / "app.py").read_text())
    return made


def trials(url: str) -> list[FrozenTrial]:
    return studies.load(url, "s").get_trials()


def both(folder: Path, *arguments: str) -> None:
    """The same command on two machines at once, in an empty database: both end well."""
    names = ("one", "other")
    began = [
        sweeping.start(folder, f"hydra.sweep.dir={name}", *arguments, MACHINE=name)
        for name in names
    ]
    ends = [sweeping.end(process, folder) for process in began]
    assert [done.code for done in ends] == [0, 0], [done.err for done in ends]


def test_two_machines_stop_together_at_the_number_of_trials(tmp_path: Path, url: str) -> None:
    both(
        app(tmp_path, "return cfg.x", url, params={"x": "interval(0.0,1.0)"}, n_trials=12, n_jobs=3)
    )
    ended = trials(url)
    assert [trial.state for trial in ended] == [TrialState.COMPLETE] * 12
    assert len({trial.params["x"] for trial in ended}) == 12


def test_two_machines_try_each_point_of_a_grid_once(tmp_path: Path, url: str) -> None:
    folder = app(tmp_path, "return cfg.x", url, params={"x": "range(0,9)"}, n_trials=50, n_jobs=3)
    both(folder, "hydra/sweeper/sampler=grid")
    assert sorted(trial.params["x"] for trial in trials(url)) == list(range(9))


def test_trials_of_a_machine_that_is_lost_are_tried_again_by_another(
    tmp_path: Path, url: str
) -> None:
    folder = app(
        tmp_path, WAITS, url, params={"x": "interval(0.0,1.0)"}, n_trials=3, n_jobs=2, heartbeat=1
    )
    process = sweeping.start(folder, MACHINE="lost")
    sweeping.until(lambda: len(sweeping.lines(folder / "begun")) == 2, "two jobs that wait")
    lost = sweeping.lines(folder / "begun")
    sweeping.kill(process)
    done = sweeping.call(folder, MACHINE="other")
    assert done.code == 0, done.err
    states = [trial.state for trial in trials(url)]
    assert (states.count(TrialState.COMPLETE), states.count(TrialState.FAIL), len(states)) == (
        3,
        2,
        5,
    )
    assert sorted(sweeping.lines(folder / "begun")[2:]) == sorted(
        {*lost, *sweeping.lines(folder / "begun")}
    )


def test_the_password_is_in_no_file_and_on_no_screen(tmp_path: Path, url: str) -> None:
    done = sweeping.call(
        app(tmp_path, "return cfg.x", url, params={"x": "1,2"}, n_trials=2), MACHINE="here"
    )
    assert done.code == 0, done.err
    assert "user:***@127.0.0.1" in done.out
    written = [path for path in (tmp_path / "swept").rglob("*") if path.is_file()]
    assert not [path for path in written if "s3cret" in path.read_text()]


def test_a_study_of_another_space_is_refused(tmp_path: Path, url: str) -> None:
    folder = app(tmp_path, "return cfg.x", url, n_trials=1)
    assert sweeping.call(folder, "x=range(1,9)").code == 0
    done = sweeping.call(folder, "x=range(1,5)")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "searches another space: x differ" in done.err
