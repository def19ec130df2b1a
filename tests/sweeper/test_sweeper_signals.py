"""Ctrl-C and SIGTERM reach a sweep where nothing is half-done, and find its workers gone."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import sweeping

from hydra_plugins.hydra_optuna_sweeper._signals import deferred_signals, raising_signals

LISTENER = """
import multiprocessing

class Listener:
    def check(self, config): pass
    def began(self, study, sweep): pass
    def trial_ended(self, study, trial): pass
    def ended(self, study, sweep): pass
    def stopped(self, study):
        with open("alive", "w") as file:
            print(len(multiprocessing.active_children()), file=file)
"""
# two jobs fail where they are told to; others wait for a word that never comes
WAITS = """
with open("begun", "a") as file:
    print(cfg.x, file=file)
if cfg.fails and trials.current().number < 2:
    raise ValueError("as planted")
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_signal_waits_until_it_is_asked_for(
    number: signal.Signals, raised: type[BaseException]
) -> None:
    reached = []

    def work() -> None:
        with deferred_signals() as check_signals:
            check_signals()
            os.kill(os.getpid(), number)
            reached.append("the end of what was being done")
            check_signals()
            reached.append("too far")

    with pytest.raises(raised):
        work()
    assert reached == ["the end of what was being done"]


def test_a_second_signal_does_not_wait() -> None:
    reached = []

    def work() -> None:
        with deferred_signals():
            for word in ("once", "twice"):
                os.kill(os.getpid(), signal.SIGINT)
                reached.append(word)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["once"]


def test_a_signal_that_nobody_asked_for_is_raised_at_the_end() -> None:
    with pytest.raises(SystemExit) as ended, deferred_signals():
        os.kill(os.getpid(), signal.SIGTERM)
    assert ended.value.code == 143


def test_afterwards_signals_mean_what_they_meant_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with raising_signals(), deferred_signals():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.slow
@pytest.mark.parametrize(("fails", "code"), [(True, 1), (False, 130)])
def test_workers_are_gone_when_the_sweep_is_said_to_be_stopped(
    tmp_path: Path, fails: bool, code: int
) -> None:
    (tmp_path / "ears.py").write_text(LISTENER)
    sweeper = {
        "params": {"x": "interval(0.0,1.0)"},
        "n_trials": 4,
        "n_jobs": 2,
        "max_failure_rate": 0.4,
    }
    sweeper["listener"] = {"_target_": "ears.Listener"}
    folder = sweeping.app(tmp_path, WAITS, hydra={"sweeper": sweeper}, fails=fails)
    process = sweeping.start(
        folder, PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    )
    if not fails:
        sweeping.until(lambda: len(sweeping.lines(folder / "begun")) == 2, "two jobs that wait")
        process.send_signal(signal.SIGINT)
    done = sweeping.end(process, folder)
    assert done.code == code, done.err
    assert sweeping.lines(folder / "alive") == ["0"]
