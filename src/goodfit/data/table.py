"""Any CSV file with a header: numbers are standardised, text columns one-hot coded, one column is the target."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from goodfit.contract import DataSpec, Field
from goodfit.data.base import DataSet, class_labels
from goodfit.errors import UserError, nearest
from goodfit.fetch import Source
from goodfit.kinds import Fraction, Whole

MOST_CATEGORIES = 100  # a text column with more different values is a name or a text, not a category


class Table(DataSet):
    """Rows with named columns; every column but the target is an input.

    A text column with a value that train never had gives zeros for all its categories.
    """

    inputs = ("numbers",)
    kind = "class"

    def __init__(
        self,
        *,
        source: Source,
        label: str,
        kind: Literal["class", "number"],
        test: Fraction,
        validation: Fraction,
        split_seed: Whole,
    ) -> None:
        super().__init__(source=source, test=test, validation=validation, split_seed=split_seed)
        self.label, self.kind = label, kind  # type: ignore[misc]

    def read(self, raw: Path) -> pd.DataFrame:
        """The file as it is: "NA" and "None" stay text, an empty cell is a fault."""
        cells = self.frame(raw)
        if self.label not in cells.columns:
            raise UserError(f"{raw.name} lacks column '{self.label}'.{nearest(self.label, cells.columns)}")
        return check_cells(cells, raw.name, text=[self.label] if self.kind == "class" else [])

    def frame(self, raw: Path) -> pd.DataFrame:
        """The cells of a CSV file with a header, all as text."""
        try:
            return pd.read_csv(raw, dtype=str, keep_default_na=False)
        except pd.errors.EmptyDataError:
            raise UserError(f"{raw.name} is empty") from None
        except pd.errors.ParserError as error:
            raise UserError(f"{raw.name}: {str(error).strip()}; every row needs the header's columns") from None
        except UnicodeDecodeError as error:
            raise UserError(f"{raw.name} is not UTF-8 (byte {error.start}); save it as UTF-8") from None

    def fit(self, train: pd.DataFrame) -> DataSpec:
        """Mean and deviation of each number, the categories of each text column."""
        columns: dict[str, Any] = {}
        for name in train.columns.drop(self.label):
            values = train[name]
            if pd.api.types.is_numeric_dtype(values):
                columns[name] = {"mean": float(values.mean()), "std": float(values.std(ddof=0)) or 1.0}
                continue
            categories = sorted(values.unique())
            if len(categories) > MOST_CATEGORIES:
                raise UserError(f"column '{name}' has {len(categories)} different texts; drop it or encode it")
            columns[name] = {"categories": categories}
        width = sum(len(facts.get("categories", "1")) for facts in columns.values())
        labels = class_labels(train, self.label) if self.kind == "class" else ()
        scale = (0.0, 1.0) if labels else (float(train[self.label].mean()), float(train[self.label].std(ddof=0)))
        return DataSpec(
            data=f"{type(self).__module__}.{type(self).__qualname__}",
            kind=self.kind,
            outputs=len(labels) or 1,
            inputs={"numbers": Field((width,), "float32")},
            target=Field((), "int64" if labels else "float32", *scale),
            labels=labels,
            facts={"columns": columns},
        )

    @staticmethod
    def encode(rows: pd.DataFrame, spec: DataSpec) -> dict[str, np.ndarray[Any, Any]]:
        """Standard scores and one-hot codes side by side, (B, F)."""
        columns = spec.facts["columns"]
        missing = [name for name in columns if name not in rows.columns]
        if missing:
            raise UserError(f"columns {missing} are missing; expected {list(columns)}")
        parts = []
        for name, facts in columns.items():
            values = rows[name]
            if "categories" in facts:
                parts.append(values.to_numpy(object)[:, None] == np.array(facts["categories"], object))
            else:
                parts.append((values.to_numpy(float)[:, None] - facts["mean"]) / facts["std"])
        return {"numbers": np.concatenate(parts, axis=1).astype(np.float32)}


def check_cells(rows: pd.DataFrame, name: str, text: Collection[str]) -> pd.DataFrame:
    """Cells to numbers in each column of mostly numbers but those of `text`; UserError lists all faults."""
    if rows.empty:
        raise UserError(f"{name} has a header but no rows")
    faults = []
    result = {}
    for column in rows.columns:
        cells = rows[column].str.strip()
        numbers = pd.to_numeric(cells, errors="coerce")
        is_number = numbers.notna() & np.isfinite(numbers)
        faults += [(line, column, "''", "is empty") for line in np.flatnonzero(cells == "")]
        if column not in text and is_number.mean() > 0.5:
            bad = np.flatnonzero(~is_number & (cells != ""))
            faults += [(line, column, repr(cells.iloc[line]), "is not a finite number") for line in bad]
            result[column] = numbers
        else:
            result[column] = cells
    if faults:
        listed = [f"  row {line + 2}  column {column}  {value} {why}" for line, column, value, why in faults[:20]]
        more = [f"  ... and {len(faults) - 20} more"] if len(faults) > 20 else []
        raise UserError("\n".join([f"{name}: {len(faults)} cells cannot be used; mend or drop them:", *listed, *more]))
    return pd.DataFrame(result)
