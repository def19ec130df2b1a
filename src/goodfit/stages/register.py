"""The stage register: a new version in MLflow's registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from goodfit.errors import OtherVersionError, UserError
from goodfit.paths import Paths
from goodfit.records import Evaluation, Registration
from goodfit.system import experiment
from goodfit.tracking import attach, package, registry, runs
from goodfit.tracking.database import locked
from goodfit.tracking.overview import describe_version
from goodfit.tracking.registry import Paired, promote, standing_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from goodfit.task.scores import Statistics


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
    paths = Paths(cfg.name)
    # another clone that shares the registry would register the same model, or compare with the
    # champion that this one replaces
    with locked(str(cfg.tracking.uri), "registry"):
        version = package.log_and_register(run, cfg.name, paths)
        compare = partial(_compare, run.client, paths, evaluation)
        champion, reason = promote(run.client, cfg.name, version, standing_of(evaluation), compare)
        describe_version(run, version, evaluation, reason)
    return Registration(model=cfg.name, version=version, champion=champion, reason=reason)


def _compare(
    client: MlflowClient, paths: Paths, evaluation: Evaluation, present: ModelVersion
) -> Paired | str:
    """The evaluated model against the present champion, or why they cannot be compared."""
    # torch and the tasks: 3 s, which only a model that meets a champion needs
    from goodfit.evaluation.champion import paired

    reason = "the files of its run and of its model are gone"
    with TemporaryDirectory() as folder:
        for answers in _answers(client, paths, present, Path(folder)):
            try:
                theirs = answers()
                return Paired(*paired(paths.model, evaluation, paths.evaluation, theirs))
            except OtherVersionError:
                reason = "another version of goodfit wrote its files"
            except UserError as error:
                reason = str(error).replace(f"{folder}/", "")
    return f"version {present.version}: {reason}"


def _answers(
    client: MlflowClient, paths: Paths, present: ModelVersion, folder: Path
) -> Iterator[Callable[[], Statistics]]:
    """The champion's answers to the test samples: those that its evaluation kept, else anew."""
    from goodfit.evaluation import champion

    kept = registry.evaluation_of(present, client, folder)
    if kept:
        yield partial(champion.stored, kept)
    model = registry.model_of(present, client, folder)
    if model:
        yield partial(champion.answers, model, paths.prepared)
