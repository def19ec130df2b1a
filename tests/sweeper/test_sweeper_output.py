"""What a user sees of a sweep, what is left on disk, and what a run without a sweep never loads."""

from __future__ import annotations

import os
import pty
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
import sweeping
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import FloatDistribution
from optuna.trial import create_trial
from sweeping import Sweep

from hydra_plugins.hydra_optuna_sweeper._progress import Progress, importances
from hydra_plugins.hydra_optuna_sweeper._secrets import mask_passwords, mask_storage

HEAVY = """\
import atexit, sys
heavy = {"optuna", "torch", "sqlalchemy"}
atexit.register(lambda: print("heavy:", sorted(heavy & set(sys.modules))))
"""


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--help"], []])
def test_a_run_that_is_no_sweep_imports_nothing_heavy(tmp_path: Path, arguments: list[str]) -> None:
    folder = sweeping.app(tmp_path, "return 0.0")
    (folder / "app.py").write_text(HEAVY + (folder / "app.py").read_text())
    done = subprocess.run(
        [sys.executable, "app.py", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "heavy: []"), done.stderr


def fails_at_3(cfg: DictConfig) -> float:
    if cfg.x == 3:
        raise RuntimeError("\x1b[31mred\x1b[0m\rand\x07 more\nsecond line")
    return float(cfg.x) + 10 * float(cfg.y)


@pytest.mark.slow
def test_the_output_is_a_line_for_each_trial_and_a_table(sweep: Sweep) -> None:
    done = sweep(fails_at_3, "x=choice(1,2,3)", "y=choice(0,1)", "hydra/sweeper/sampler=grid")
    # no control characters, though the job's error has some
    assert done.out.replace("\n", "").isprintable()
    lines = done.out.splitlines()
    assert lines[0].startswith("study s in sqlite:///")
    assert lines[0].endswith("/s.db: up to 6 trials")
    trials = [line for line in lines if line.startswith("trial ")]
    assert [line.split()[1] for line in trials] == [str(number) for number in range(6)]
    assert all("/6 trials" in line for line in trials)
    assert "failed    RuntimeError: [31mred[0mand more  x=3 y=0" in done.out
    assert "6/6 trials, 4 complete, 2 failed, best 1 (trial 0)" in done.out
    table = lines[
        next(index for index, line in enumerate(lines) if line.startswith("best trials")) :
    ]
    rows = {row.split()[0]: row.split()[1:] for row in table if len(row.split()) == 5}
    assert rows["trial"] == ["0", "2", "1", "3"]
    assert rows["value"] == ["1", "2", "11", "12"]
    assert "importance of each hyperparameter (they sum to 1): y " in lines[-1]


@pytest.mark.fault(49)
@pytest.mark.parametrize(("columns", "trials"), [(30, 1), (40, 2), (80, 5), (None, 5)])
def test_the_table_has_as_many_trials_as_the_terminal_is_wide_for(
    columns: int | None,
    trials: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", str(columns))
    study = optuna.create_study()
    distributions = {"optimizer.lr": FloatDistribution(0.0, 1.0)}
    for number in range(6):
        params = {"optimizer.lr": 0.123456 + number / 10}
        value = 0.1234567 + number
        study.add_trial(create_trial(params=params, distributions=distributions, value=value))
    Progress(study, 6, None).print_results()
    printed = capsys.readouterr().out
    rows = {line.split()[0]: line.split()[1:] for line in printed.splitlines() if line.split()}
    assert rows["trial"] == [str(number) for number in range(trials)]
    assert rows["optimizer.lr"] == ["0.1235", "0.2235", "0.3235", "0.4235", "0.5235"][:trials]
    assert len(rows["value"]) == trials
    table = printed.split("importance")[0]
    assert max(map(len, table.splitlines())) <= (columns or 100)


def count(cfg: DictConfig) -> float:
    return float(len(cfg.x))


@pytest.mark.slow
def test_a_list_of_names_is_shown_in_the_table(sweep: Sweep) -> None:
    """Rich would take [relu,tanh] for a style."""
    done = sweep(count, "x=choice([gelu],[relu,tanh])", "hydra/sweeper/sampler=grid")
    assert ["x", "[gelu]", "[relu,tanh]"] in [line.split() for line in done.out.splitlines()]


def test_without_scikit_learn_a_sweep_ends_without_importances(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study = optuna.create_study()
    study.optimize(lambda trial: trial.suggest_float("x", 0.0, 1.0), n_trials=5)
    assert list(importances(study)) == ["x"]

    def missing(**_: object) -> None:
        raise ImportError("scikit-learn")

    monkeypatch.setattr(optuna.importance, "FanovaImportanceEvaluator", missing)
    assert importances(study) == {}


@pytest.mark.slow
def test_on_a_terminal_the_summary_stays_below(tmp_path: Path) -> None:
    sweeper = {"params": {"x": "1,2"}, "n_trials": 2}
    folder = sweeping.app(
        tmp_path, "print('said by the job')\nreturn cfg.x", hydra={"sweeper": sweeper}
    )
    terminal, output = pty.openpty()
    command = [sys.executable, "app.py", "-m"]
    with subprocess.Popen(
        command, cwd=folder, env=sweeping.environment(TERM="xterm"), stdout=output
    ) as process:
        os.close(output)
        shown = b""
        while True:
            try:
                shown += os.read(terminal, 65536)
            except OSError:
                break
    os.close(terminal)
    assert process.returncode == 0
    assert shown.count(b"said by the job") == 2
    assert b"2/2 trials, 2 complete" in shown


@pytest.mark.slow
def test_the_database_is_in_wal_mode(sweep: Sweep, tmp_path: Path) -> None:
    sweep(fails_at_3, "x=1,2", "hydra.sweeper.n_trials=1", "hydra.sweeper.storage=null")
    with closing(sqlite3.connect(tmp_path / "swept/optuna.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.slow
def test_a_relative_database_is_found_from_the_folder_of_a_job(tmp_path: Path) -> None:
    body = "trial = trials.current()\ntrial.set_user_attr('here', os.getcwd())\nreturn cfg.x"
    sweeper = {"params": {"x": "1,2"}, "n_trials": 1}
    done = sweeping.call(
        sweeping.app(tmp_path, body, hydra={"sweeper": sweeper, "job": {"chdir": True}})
    )
    assert (done.code, done.trials[0].user_attrs["here"]) == (0, str(tmp_path / "swept/0")), (
        done.err
    )


URL = "postgresql://user:s3cret@localhost:1/db"


@pytest.mark.parametrize("in_yaml", [True, False])
def test_a_password_is_shown_nowhere(sweep: Sweep, tmp_path: Path, in_yaml: bool) -> None:
    changes: Any = {"hydra": {"sweeper": {"storage": URL}}} if in_yaml else {}
    arguments = [] if in_yaml else [f"hydra.sweeper.storage='{URL}'"]
    done = sweep(fails_at_3, "x=1,2", *arguments, **changes)
    assert "postgresql://user:***@localhost:1/db" in done.err
    assert "s3cret" not in done.out + done.err
    assert "s3cret" not in (tmp_path / "swept/multirun.yaml").read_text()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://u:p@h/db", "postgresql://u:***@h/db"),
        ("mysql+pymysql://u:p:q@h:abc/db", "mysql+pymysql://u:***@h:abc/db"),
        ("postgresql://:p@h/db", "postgresql://:***@h/db"),
        ("postgresql://h/db?password=p&user=u", "postgresql://h/db?password=***&user=u"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
        ("postgresql://u@h/db", "postgresql://u@h/db"),
    ],
)
def test_only_a_password_is_hidden(text: str, shown: str) -> None:
    assert mask_passwords(text) == shown


def test_jobs_get_a_configuration_without_the_password() -> None:
    config = OmegaConf.create(
        {
            "hydra": {
                "sweeper": {"storage": URL},
                "overrides": {"hydra": [f"hydra.sweeper.storage={URL}", "hydra.a=1"]},
            }
        }
    )
    masked = mask_storage(config)
    assert masked.hydra.overrides.hydra == [
        "hydra.a=1",
        "hydra.sweeper.storage='postgresql://user:***@localhost:1/db'",
    ]
    assert "s3cret" not in OmegaConf.to_yaml(masked)
    assert config.hydra.sweeper.storage == URL


def test_an_interpolation_is_kept_where_the_password_is_elsewhere() -> None:
    config = OmegaConf.create(
        {"hydra": {"sweeper": {"storage": "${oc.env:NOWHERE}"}, "overrides": {"hydra": []}}}
    )
    assert mask_storage(config) is config
