"""The samples that the network gets most wrong, in a form that a person can look at."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from goodfit.contract import DataSpec
from goodfit.data.packed import Packed
from goodfit.predict import Predictor
from goodfit.task.base import Task


def worst(task: Task, predictor: Predictor, test: Packed, rows: pd.DataFrame, count: int) -> list[dict[str, Any]]:
    """The `count` test samples with the largest loss, the largest first."""
    raw = predictor.raw_outputs(test)
    losses = torch.stack([task.loss(raw[i : i + 1], test.target[i : i + 1]) for i in range(len(test))])
    prediction = task.predict(raw)
    chosen = losses.argsort(descending=True)[:count].tolist()
    return [
        {
            "row": place,
            "loss": float(losses[place]),
            **_answer(task.spec, prediction[place], test.target[place]),
            **_look(task.spec, test, rows, place),
        }
        for place in chosen
    ]


def _answer(spec: DataSpec, prediction: Tensor, target: Tensor) -> dict[str, Any]:
    if spec.kind == "class":
        best = int(prediction.argmax())
        truth = int(target)
        return {
            "truth": spec.labels[truth],
            "prediction": spec.labels[best],
            "probability": float(prediction[best]),
            "probability_of_truth": float(prediction[truth]),
        }
    return {"truth": target.tolist(), "prediction": prediction.tolist()}


def _look(spec: DataSpec, test: Packed, rows: pd.DataFrame, place: int) -> dict[str, Any]:
    """Picture, text, past of the series, or the columns that stand out most."""
    for name, field in spec.inputs.items():
        array = test.inputs[name][place].numpy()
        if field.dtype == "uint8" and len(field.shape) == 3:
            return {"image": _png(array)}
        if name == "past":
            return {
                "past": array.reshape(-1)[-2 * spec.outputs :].tolist(),
                "start": str(rows["start"].iloc[place]),
            }
    if "text" in rows:
        return {"text": str(rows["text"].iloc[place])}
    columns = {name: facts for name, facts in spec.facts.get("columns", {}).items() if "mean" in facts}
    scores = {name: (float(rows[name].iloc[place]) - facts["mean"]) / facts["std"] for name, facts in columns.items()}
    largest = sorted(scores, key=lambda name: -abs(scores[name]))[:5]
    return {"columns": {name: [float(rows[name].iloc[place]), round(scores[name], 1)] for name in largest}}


def _png(array: np.ndarray[Any, Any]) -> str:
    from PIL import Image

    picture = array[0] if array.shape[0] == 1 else array.transpose(1, 2, 0)
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()
