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
COLUMNS = [f"{measure}_{of}" for of in ("mean", "error", "worst") for measure in _MEASURES]


class BreastCancer(Table):
    """Ten measures of the nuclei of a mass, each as mean, standard error and mean of the three
    largest.
    """

    def frame(self, raw: Path) -> pd.DataFrame:
        """scikit-learn's file has no names of columns; its first line is (rows, columns, names of
        classes).
        """
        first = raw.read_text().splitlines()[0].split(",")
        rows = pd.read_csv(
            raw, skiprows=1, names=[*COLUMNS, self.label], dtype=str, keep_default_na=False
        )
        rows[self.label] = [first[2 + int(code)] for code in rows[self.label]]
        return rows
