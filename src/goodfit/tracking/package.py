"""A trained model in MLflow's registry: a package that loads without this repository.

It holds the source of goodfit, the model's files, signature, input example, exact requirements.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goodfit.config import signature, tree
from goodfit.contract import DataSpec
from goodfit.paths import Paths
from goodfit.provenance.code import answering_digest, optional_libraries
from goodfit.provenance.environment import version
from goodfit.store import example
from goodfit.system.files import sha256
from goodfit.tracking.lookup import CODE_TAG, MODEL_FILES, MODEL_TAG, has_files, model_digest
from goodfit.tracking.runs import Run

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

PACKAGE = Path(__file__).parents[1]
# a path: importing the module sets MLflow's current model, which MLflow does when it loads one
MODEL_CODE = Path(__file__).with_name("pyfunc.py")
# of all that loading and predicting can import, whatever the data set; those of extras, and MLflow
# itself, are added
REQUIREMENTS = (
    "torch",
    "torchmetrics",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "scikit-learn",
    "pillow",
    "hydra-core",
    "omegaconf",
    "PyYAML",
    "pydantic",
    "msgspec",
)


def log_and_register(run: Run, name: str, paths: Paths) -> str:
    """Logs the model to the run, registers it, and gives the version's number.

    The same model is not registered twice: its version is found by the hashes of its three files,
    for spec.json holds the names of columns and labels, and of the code that answers, for a version
    carries its own.
    """
    tags = {
        MODEL_TAG: model_digest([sha256(paths.model / file) for file in MODEL_FILES]),
        CODE_TAG: answering_digest(tree.load(paths.model / "config.yaml")),
    }
    registered = version_with(run.client, name, tags)
    if registered:
        return registered

    number = _log_model(run, name, paths)
    for key, value in tags.items():
        run.client.set_model_version_tag(name, number, key, value)
    return number


def requirements(config: Mapping[str, Any]) -> list[str]:
    """The exact versions that a model of this configuration asks for.

    Raises:
        UserError: a library of an extra that it needs is not installed.
    """
    packages = [*REQUIREMENTS, *optional_libraries(config)]
    return [f"{package}=={version(package)}" for package in packages]


def _log_model(run: Run, name: str, paths: Paths) -> str:
    import mlflow

    rows = example.read(paths.prepared)
    answer = example.read_rows(paths.evaluation / "answer.parquet")
    # log_model asks the global addresses, not the client's
    mlflow.set_tracking_uri(run.client.tracking_uri)
    mlflow.set_registry_uri(run.client.tracking_uri)
    with mlflow.start_run(run_id=run.run_id):
        info = mlflow.pyfunc.log_model(
            name=name,
            python_model=str(MODEL_CODE),
            artifacts={"model": str(paths.model)},
            code_paths=[str(PACKAGE)],
            signature=_signature(rows, answer, DataSpec.read(paths.model / "spec.json")),
            input_example=rows,
            pip_requirements=requirements(tree.load(paths.model / "config.yaml")),
            registered_model_name=name,
        )
    return str(info.registered_model_version)


def _signature(rows: pd.DataFrame, answer: pd.DataFrame, spec: DataSpec) -> ModelSignature:
    """The columns that the model takes and gives, with their types where it wants just those.

    MLflow refuses whole numbers where a column had decimals, and decimals where it had none.
    """
    from mlflow.models import infer_signature
    from mlflow.types.schema import AnyType, ColSpec, Schema

    inferred = infer_signature(rows, answer)
    data = signature.read(spec.data)
    if data and data.constants.get("takes_any_cell"):
        any_type = AnyType()  # type: ignore[no-untyped-call]
        inferred.inputs = Schema([ColSpec(any_type, name) for name in rows.columns])
    return inferred


def version_with(client: MlflowClient, name: str, tags: Mapping[str, str]) -> str | None:
    """The version that has these tags, None where there is none, or its own files are lost."""
    for model in client.search_model_versions(f"name = '{name}'"):
        if tags.items() <= model.tags.items():
            location = client.get_model_version_download_uri(name, model.version)
            if has_files(client.tracking_uri, location, "MLmodel"):
                return str(model.version)
    return None
