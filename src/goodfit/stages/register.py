"""The stage register: a new version in MLflow's registry."""

from __future__ import annotations

from omegaconf import DictConfig

from goodfit.paths import Paths
from goodfit.records import Evaluation, Registration
from goodfit.tracking import attach, package, runs
from goodfit.tracking.database import locked
from goodfit.tracking.overview import describe_version
from goodfit.tracking.registry import promote, standing_of


def stage(cfg: DictConfig) -> None:
    """`dvc repro`: a new version of the model <experiment>, and its record in registered.json.

    Raises:
        UserError: a stage before has not run, or the database does not answer.
    """
    paths = Paths(cfg.name)
    evaluation = Evaluation.read(paths.evaluation / "evaluation.json")
    run = attach.find_or_recreate(cfg, paths.model)
    with runs.run_status(run):
        # another clone that shares the registry would register the same model, or compare with
        # the champion that this one replaces
        with locked(str(cfg.tracking.uri), "registry"):
            version = package.log_and_register(run, cfg.name, paths)
            champion, reason = promote(run.client, cfg.name, version, standing_of(evaluation))
            describe_version(run.client, run, version, evaluation, reason)
        run.client.log_artifact(run.run_id, str(paths.page), "report")

    registration = Registration(model=cfg.name, version=version, champion=champion, reason=reason)
    registration.write(paths.registered)
    print(f"registered {cfg.name} version {version}: {reason}")
