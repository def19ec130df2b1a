"""Any CSV file with a header: numbers are standardised, text columns one-hot coded, one column is
the target.
"""

from __future__ import annotations

import csv
import warnings
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from goodfit.contract import DataSpec, Field
from goodfit.data.base import DataSet, class_labels
from goodfit.errors import UserError, nearest
from goodfit.records import Exhibit
from goodfit.schema import Fraction, Source, Whole

MOST_CATEGORIES = (
    100  # a text column with more different values is a name or a text, not a category
)


class Table(DataSet):
    """Rows with named columns; every column but the target is an input.

    A text column with a value that train never had gives zeros for all its categories.
    """

    inputs = ("numbers",)
    kind = "class"
    modality = "table"

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
            raise UserError(
                f"{raw.name} lacks column '{self.label}'.{nearest(self.label, cells.columns)}"
            )
        of_kind = {"text" if self.kind == "class" else "numbers": [self.label]}
        return check_cells(cells, raw.name, **of_kind)

    def frame(self, raw: Path) -> pd.DataFrame:
        """The cells of a CSV file with a header, all as text; the index counts the file's rows,
        blank ones too.
        """
        try:
            with raw.open(newline="", encoding="utf-8") as stream, warnings.catch_warnings():
                header = next(csv.reader(stream), [])
                # pandas would take the first cell of longer rows for an index, or drop the last,
                # with a warning
                warnings.simplefilter("error", pd.errors.ParserWarning)
                cells = pd.read_csv(
                    raw, dtype=str, keep_default_na=False, index_col=False, skip_blank_lines=False
                )
        except pd.errors.EmptyDataError:
            raise UserError(f"{raw.name} is empty") from None
        except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
            raise UserError(
                f"{raw.name}: {str(error).strip()}; every row needs the header's columns"
            ) from None
        except UnicodeDecodeError as error:
            raise UserError(
                f"{raw.name} is not UTF-8 (byte {error.start}); save it as UTF-8"
            ) from None
        if twice := [name for name, count in Counter(header).items() if count > 1]:
            raise UserError(f"{raw.name} has two columns named '{twice[0]}'; rename one")
        return cells[(cells != "").any(axis=1)]

    def fit(self, train: pd.DataFrame) -> DataSpec:
        """Mean and deviation of each number, the categories of each text column."""
        columns: dict[str, Any] = {}
        for name in train.columns.drop(self.label):
            values = train[name]
            if pd.api.types.is_numeric_dtype(values):
                # by the values: the deviation of a constant 0.1 is not 0 but 1e-17
                std = float(values.std(ddof=0)) if values.nunique() > 1 else 1.0
                columns[name] = {"mean": float(values.mean()), "std": std}
                continue
            categories = sorted(values.unique())
            if len(categories) > MOST_CATEGORIES:
                raise UserError(
                    f"column '{name}' has {len(categories)} different texts; drop it or encode it"
                )
            columns[name] = {"categories": categories}
        width = sum(len(facts.get("categories", "1")) for facts in columns.values())
        labels = class_labels(train, self.label) if self.kind == "class" else ()
        if not labels and train[self.label].nunique() == 1:
            raise UserError(
                f"column '{self.label}' is {train[self.label].iloc[0]:g} in all of train: nothing to learn"
            )
        scale = (
            (0.0, 1.0)
            if labels
            else (float(train[self.label].mean()), float(train[self.label].std(ddof=0)))
        )
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
                parts.append(
                    values.to_numpy(object)[:, None] == np.array(facts["categories"], object)
                )
            else:
                parts.append((values.to_numpy(float)[:, None] - facts["mean"]) / facts["std"])
        return {"numbers": np.concatenate(parts, axis=1).astype(np.float32)}

    @staticmethod
    def show(
        sample: Mapping[str, np.ndarray[Any, Any]], row: pd.Series[Any], spec: DataSpec
    ) -> Exhibit:
        """The five numbers that stand out most, by their distance from train's mean in standard
        deviations.
        """
        scores = {}
        for name, facts in spec.facts["columns"].items():
            if "mean" in facts:
                scores[name] = (float(row[name]) - facts["mean"]) / facts["std"]
        largest = sorted(scores, key=lambda name: -abs(scores[name]))[:5]
        return Exhibit(cells={name: (float(row[name]), round(scores[name], 1)) for name in largest})


def check_cells(
    rows: pd.DataFrame, name: str, *, text: Collection[str] = (), numbers: Collection[str] = ()
) -> pd.DataFrame:
    """Cells to numbers in columns of mostly numbers and those of `numbers`, but not `text`.

    The index says which row of the file below the header each one is. Raises UserError that lists
    all faults.
    """
    if rows.empty:
        raise UserError(f"{name} has a header but no rows")
    faults = []
    result = {}
    row = rows.index.to_numpy() + 2  # in the file, whose first is the header
    for column in rows.columns:
        cells = rows[column].str.strip()
        values = pd.to_numeric(cells, errors="coerce")
        is_number = values.notna() & np.isfinite(values)
        faults += [(row[line], column, "''", "is empty") for line in np.flatnonzero(cells == "")]
        if column in numbers or (column not in text and is_number.mean() > 0.5):
            bad = np.flatnonzero(~is_number & (cells != ""))
            faults += [
                (row[line], column, repr(cells.iloc[line]), "is not a finite number")
                for line in bad
            ]
            result[column] = values
        else:
            result[column] = cells
    if faults:
        listed = [
            f"  row {line}  column {column}  {value} {why}"
            for line, column, value, why in faults[:20]
        ]
        more = [f"  ... and {len(faults) - 20} more"] if len(faults) > 20 else []
        raise UserError(
            "\n".join(
                [f"{name}: {len(faults)} cells cannot be used; mend or drop them:", *listed, *more]
            )
        )
    return pd.DataFrame(result).reset_index(drop=True)
