"""The MLflow flavour of a trained model: raw rows in, readable predictions out, no pickle anywhere.

MLflow stores this file as it is ("models from code") and runs it when the model is loaded; the
network is rebuilt from the three files beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModel


class Served(PythonModel):
    """A Predictor behind MLflow's interface; takes what the data set's `encode` takes."""

    def load_context(self, context: Any) -> None:
        """Reads the model's folder, whose checksum is verified."""
        from goodfit.predictor import Predictor

        self.predictor = Predictor.load(Path(context.artifacts["model"]))

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """One readable row for each raw row."""
        return self.predictor.predict(model_input)


mlflow.models.set_model(Served())
