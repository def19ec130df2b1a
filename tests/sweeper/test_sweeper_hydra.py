"""Hydra's own suites for sweepers and launchers, as far as they speak of this sweeper."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hydra.test_utils.launcher_common_tests import IntegrationTestSuite, LauncherTestSuite

OPTUNA = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=1", "hydra.sweeper.n_jobs=1"]


@pytest.mark.parametrize(("launcher_name", "overrides"), [("basic", OPTUNA)])
class TestLaunched(LauncherTestSuite):
    """Ranges over Hydra's own keys and unknown keys are refused.

    The other tests of the suite, and the whole BatchedSweeperTestSuite, read what `sweep()`
    returns, in the order of the basic sweeper. This sweeper returns None, as the released one does:
    results are in the study.
    """

    test_sweep_1_job = None
    test_sweep_2_jobs = None
    test_sweep_1_job_strict = None
    test_sweep_2_optimizers = None
    test_sweep_over_unspecified_mandatory_default = None
    test_sweep_and_override = None
    test_sweep_with_custom_resolver = None


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("task_launcher_cfg", "extra_flags"), [({}, ["-m", *OPTUNA])])
class TestIntegration(IntegrationTestSuite):
    """Names, folders and working directories of jobs are those of any sweeper.

    The suite's jobs return nothing, which is no score: each sweep runs its job and ends with 1.
    """

    def generate_custom_cmd(self) -> Callable[..., list[str]]:
        return lambda command, *_: ["sh", "-c", '"$@"; test $? = 1', "sh", *command]
