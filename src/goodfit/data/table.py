"""Any CSV file with a header: one column is the target, every other one an input.

Numbers are standardised, text columns one-hot coded.

Letters: B rows that are encoded together, F features of each.
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
from goodfit.data.base import Array, StratifiedDataSet, check_columns, class_labels
from goodfit.errors import UserError, nearest
from goodfit.records import Exhibit
from goodfit.schema import Fraction, Source, Whole

# a text column with more different values is a name or a text, not a category
MOST_CATEGORIES = 100
_LISTED = 20  # faults in a message


class Table(StratifiedDataSet):
    """Rows with named columns; the target is the column `label`, a class or a number.

    A text column with a value that train never had gives zeros for all its categories.
    """

    sources = ("table",)
    inputs = ("numbers",)
    kind = "class"
    modality = "table"

    def __init__(
        self,
        *,
        sources: Mapping[str, Source],
        label: str,
        kind: Literal["class", "number"],
        test: Fraction,
        validation: Fraction,
        split_seed: Whole,
    ) -> None:
        super().__init__(sources=sources, test=test, validation=validation, split_seed=split_seed)
        self.label, self.kind = label, kind  # type: ignore[misc]

    def read(self, raw: Mapping[str, Path]) -> pd.DataFrame:
        """The file as it is: "NA" and "None" stay text, an empty cell is a fault.

        Raises:
            UserError: the file is no table, lacks the target's column, or has cells that cannot be
                used.
        """
        path = raw["table"]
        cells = self.frame(path)
        if self.label not in cells.columns:
            hint = nearest(self.label, cells.columns)
            raise UserError(f"{path.name} lacks column '{self.label}'.{hint}")
        if self.kind == "class":
            return check_cells(cells, path.name, text=[self.label])
        return check_cells(cells, path.name, numbers=[self.label])

    def frame(self, raw: Path) -> pd.DataFrame:
        """The cells of a CSV file with a header, as text; the index counts blank rows, too.

        Raises:
            UserError: the file is empty, no UTF-8, has rows longer than the header, or two columns
                of one name.
        """
        try:
            with raw.open(newline="", encoding="utf-8") as stream, warnings.catch_warnings():
                header = next(csv.reader(stream), [])
                # pandas would take the first cell of longer rows for an index, or drop the last,
                # with a warning
                warnings.simplefilter("error", pd.errors.ParserWarning)
                # as text: pandas would read NaN where a cell says "NA" or "None"
                cells = pd.read_csv(
                    raw, dtype=str, keep_default_na=False, index_col=False, skip_blank_lines=False
                )
        except pd.errors.EmptyDataError:
            raise UserError(f"{raw.name} is empty") from None
        except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
            reason = str(error).strip()
            raise UserError(f"{raw.name}: {reason}; every row needs the header's columns") from None
        except UnicodeDecodeError as error:
            raise UserError(
                f"{raw.name} is not UTF-8 (byte {error.start}); save it as UTF-8"
            ) from None

        # pandas would rename the second of two equal names
        repeated = [name for name, count in Counter(header).items() if count > 1]
        if repeated:
            raise UserError(f"{raw.name} has two columns named '{repeated[0]}'; rename one")
        return cells[(cells != "").any(axis=1)]

    def fit(self, train: pd.DataFrame) -> DataSpec:
        """Mean and deviation of each number, the categories of each text column.

        Raises:
            UserError: a text column has too many values to be categories, or the target is the
                same in all rows.
        """
        columns = {name: _facts(train[name]) for name in train.columns.drop(self.label)}
        width = sum(len(facts.get("categories", ["the number"])) for facts in columns.values())

        if self.kind == "class":
            target = Field((), "int64", labels=class_labels(train, self.label))
        else:
            target = _scale(train[self.label])
        return DataSpec(
            data=f"{type(self).__module__}.{type(self).__qualname__}",
            kind=self.kind,
            outputs=len(target.labels) or 1,
            inputs={"numbers": Field((width,), "float32")},
            targets={"target": target},
            facts={"columns": columns},
        )

    @staticmethod
    def encode(rows: pd.DataFrame, spec: DataSpec) -> dict[str, Array]:
        """`numbers` (B, F): standard scores and one-hot codes side by side.

        Raises:
            UserError: a column of train is missing, or a cell of a number's column is no number.
        """
        columns = spec.facts["columns"]
        check_columns(rows, columns)

        features = []
        for name, facts in columns.items():
            if "categories" in facts:
                categories = np.array(facts["categories"], object)
                features.append(rows[name].to_numpy(object)[:, None] == categories)
            else:
                values = _numbers(rows[name])[:, None]
                features.append((values - facts["mean"]) / facts["std"])
        return {"numbers": np.concatenate(features, axis=1).astype(np.float32)}

    @staticmethod
    def show(sample: Mapping[str, Array], row: pd.Series[Any], spec: DataSpec) -> Exhibit:
        """The five numbers farthest from train's mean, with that distance in standard deviations.

        Read from `row`: the numbers (F,) of `sample` have lost their units.
        """
        scores = {}
        for name, facts in spec.facts["columns"].items():
            if "mean" in facts:
                scores[name] = (float(row[name]) - facts["mean"]) / facts["std"]
        farthest = sorted(scores, key=lambda name: -abs(scores[name]))[:5]
        return Exhibit(
            cells={name: (float(row[name]), round(scores[name], 1)) for name in farthest}
        )


def check_cells(
    rows: pd.DataFrame, name: str, *, text: Collection[str] = (), numbers: Collection[str] = ()
) -> pd.DataFrame:
    """Cells of text to numbers, in `numbers` and in columns of mostly numbers, but not in `text`.

    The index of `rows` says which row of the file, below the header, each one is. `name` is the
    file's, for messages.

    Raises:
        UserError: there are no rows, or cells that are empty or no finite number; the message lists
            them.
    """
    if rows.empty:
        raise UserError(f"{name} has a header but no rows")

    faults = []
    checked = {}
    line = rows.index.to_numpy() + 2  # of the file: counted from one, and the first is the header
    for column in rows.columns:
        cells = rows[column].str.strip()
        values = pd.to_numeric(cells, errors="coerce")
        is_number = values.notna() & np.isfinite(values)
        is_empty = cells == ""
        for row in np.flatnonzero(is_empty):
            faults.append(f"  row {line[row]}  column {column}  '' is empty")

        checked[column] = cells
        # a text in a column of mostly numbers is a fault: else one typo would make the whole column
        # one of categories
        if column in numbers or (column not in text and is_number.mean() > 0.5):
            checked[column] = values
            for row in np.flatnonzero(~is_number & ~is_empty):
                cell = repr(cells.iloc[row])
                faults.append(f"  row {line[row]}  column {column}  {cell} is not a finite number")

    if faults:
        raise UserError(_fault_list(name, faults))
    return pd.DataFrame(checked).reset_index(drop=True)


def _fault_list(name: str, faults: list[str]) -> str:
    lines = [f"{name}: {len(faults)} cells cannot be used; mend or drop them:", *faults[:_LISTED]]
    if len(faults) > _LISTED:
        lines.append(f"  ... and {len(faults) - _LISTED} more")
    return "\n".join(lines)


def _facts(values: pd.Series[Any]) -> dict[str, Any]:
    """What `encode` must know of a column: mean and std of a number, categories of a text."""
    if pd.api.types.is_numeric_dtype(values):
        # by the values: the deviation of a constant 0.1 is not 0 but 1e-17
        std = float(values.std(ddof=0)) if values.nunique() > 1 else 1.0
        return {"mean": float(values.mean()), "std": std}

    categories = sorted(values.unique())
    if len(categories) > MOST_CATEGORIES:
        raise UserError(
            f"column '{values.name}' has {len(categories)} different texts; drop it or encode it"
        )
    return {"categories": categories}


def _numbers(values: pd.Series[Any]) -> Array:
    """A column that train knows as numbers, (B,)."""
    try:
        return values.to_numpy(float)
    except (ValueError, TypeError) as error:
        raise UserError(f"column '{values.name}' holds what is no number: {error}") from None


def _scale(target: pd.Series[Any]) -> Field:
    """A number to predict, with its mean and deviation."""
    if target.nunique() == 1:
        raise UserError(
            f"column '{target.name}' is {target.iloc[0]:g} in all of train: nothing to learn"
        )
    return Field((), "float32", (float(target.mean()),), (float(target.std(ddof=0)),))
