"""The stage register: a new version in MLflow's registry."""

from __future__ import annotations

from omegaconf import DictConfig

from goodfit.paths import Paths
from goodfit.records import Evaluation, Registration
from goodfit.system import experiment
from goodfit.tracking import attach, package, runs
from goodfit.tracking.database import locked
from goodfit.tracking.registry import promote, standing_of


def stage(cfg: DictConfig) -> None:
    """`dvc repro`: a new version of the model <experiment>, and its record in registered.json.

    In `dvc exp run` nothing is registered: the next `make repro` does so if the experiment is
    applied.

    Raises:
        UserError: a stage before has not run, or the database does not answer.
    """
    paths = Paths(cfg.name)
    evaluation = Evaluation.read(paths.evaluation / "evaluation.json")
    run = attach.find_or_recreate(cfg, paths.model)
    with runs.run_status(run):
        registration = _left_for_later(cfg.name) or _register(cfg, run, evaluation)
        run.client.log_artifact(run.run_id, str(paths.page), "report")

    registration.write(paths.registered)
    if registration.version is None:
        print(f"{cfg.name}: {registration.reason}")
    else:
        print(f"registered {cfg.name} version {registration.version}: {registration.reason}")


def _left_for_later(model: str) -> Registration | None:
    name = experiment.name()
    if name is None:
        return None
    advice = "`make repro` registers it"
    if experiment.is_copy():
        advice = f"`dvc exp apply {name}` makes it the project's, then {advice}"
    reason = f"not registered, for it is of the experiment {name}; {advice}"
    return Registration(model=model, version=None, champion=False, reason=reason)


def _register(cfg: DictConfig, run: runs.Run, evaluation: Evaluation) -> Registration:
    # another clone that shares the registry would register the same model, or compare with the
    # champion that this one replaces
    with locked(str(cfg.tracking.uri), "registry"):
        version = package.log_and_register(run, cfg.name, Paths(cfg.name))
        champion, reason = promote(run.client, cfg.name, version, standing_of(evaluation))
    return Registration(model=cfg.name, version=version, champion=champion, reason=reason)
