"""A trained model behind MLflow's interface: raw rows in, readable predictions out, no pickle.

MLflow stores this file as it is and runs it when the model is loaded; the network is rebuilt from
the model's files, which MLflow stores beside it.
Docs: https://mlflow.org/docs/latest/ml/model/models-from-code/
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel


class Served(PythonModel):
    """A Predictor as MLflow calls it; takes the columns that the data set's `encode` takes."""

    def load_context(self, context: Any) -> None:
        """Reads the model's folder and verifies its checksum.

        Raises:
            UserError: a file is missing, or the weights are not those that training wrote.
        """
        from goodfit.predictor import Predictor

        self.predictor = Predictor.load(Path(context.artifacts["model"]))

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """One readable row for each raw row.

        Raises:
            MlflowException: a column is missing, or holds what `encode` cannot take. MLflow's
                server answers it with 400 and the reason, any other error without.
        """
        from goodfit.errors import UserError

        try:
            return self.predictor.predict(model_input)
        except UserError as error:
            raise MlflowException(str(error), INVALID_PARAMETER_VALUE) from None


# on import, which is how MLflow finds the model in this file
mlflow.models.set_model(Served())
