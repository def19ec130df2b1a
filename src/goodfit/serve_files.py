"""A trained model in MLflow's registry: code, three files, signature, input example, exact requirements."""

from __future__ import annotations

import hashlib
from pathlib import Path

from goodfit import lineage, serve, track
from goodfit.data.base import lists
from goodfit.files import sha256
from goodfit.places import Places

REQUIREMENTS = (
    "torch",
    "pytorch_lightning",
    "torchmetrics",
    "numpy",
    "pandas",
    "hydra-core",
    "omegaconf",
    "pydantic",
)


def log_and_register(run: track.Run, name: str, places: Places) -> str:
    """Logs the model to the run, registers it, and returns the new version's number.

    The same model is not registered twice: its version is found by the hash of its three files. Equal weights are
    not enough, for spec.json holds the names of columns and labels.
    """
    hashes = [sha256(places.model / file) for file in ("weights.pt", "spec.json", "config.yaml")]
    digest = hashlib.sha256(" ".join(hashes).encode()).hexdigest()
    if found := _version_of(run, name, digest):
        return found
    import mlflow
    import pandas as pd
    from mlflow.models import infer_signature

    example = lists(pd.read_parquet(places.prepared / "example.parquet"))
    answer = pd.read_parquet(places.evaluation / "answer.parquet")
    mlflow.set_tracking_uri(run.client.tracking_uri)
    mlflow.set_registry_uri(run.client.tracking_uri)
    with mlflow.start_run(run_id=run.run_id):
        info = mlflow.pyfunc.log_model(
            name=name,
            python_model=str(Path(serve.__file__)),
            artifacts={"model": str(places.model)},
            code_paths=[str(Path(serve.__file__).parent)],
            signature=infer_signature(example, answer),
            input_example=example,
            pip_requirements=[f"{package.replace('_', '-')}=={lineage.version(package)}" for package in REQUIREMENTS],
            registered_model_name=name,
        )
    version = str(info.registered_model_version)
    run.client.set_model_version_tag(name, version, "goodfit.model_sha256", digest)
    return version


def _version_of(run: track.Run, name: str, digest: str) -> str | None:
    found = run.client.search_model_versions(f"name = '{name}'")
    same = [item for item in found if item.tags.get("goodfit.model_sha256") == digest]
    return str(same[0].version) if same else None
