"""569 breast masses, 30 measurements of cell nuclei each: malignant or benign.

Wolberg, Street and Mangasarian 1995, Wisconsin Diagnostic Breast Cancer; travels inside
scikit-learn (BSD).
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from goodfit.data.table import Table

_MEASURES = [
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave_points",
    "symmetry",
    "fractal_dimension",
]
_STATISTICS = ["mean", "error", "worst"]  # worst: the mean of the three largest
COLUMNS = [f"{measure}_{statistic}" for statistic in _STATISTICS for measure in _MEASURES]


class BreastCancer(Table):
    """Ten measures of a mass's nuclei: the mean, standard error and worst value of each."""

    generic = False

    def frame(self, raw: Path) -> pd.DataFrame:
        """The cells as text, under names of our own: the file has none.

        Its first line is (rows, columns, names of classes).
        """
        _, _, *classes = raw.read_text().splitlines()[0].split(",")
        rows = pd.read_csv(
            raw, skiprows=1, names=[*COLUMNS, self.label], dtype=str, keep_default_na=False
        )
        rows[self.label] = [classes[int(code)] for code in rows[self.label]]
        return rows
