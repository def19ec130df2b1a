"""Writes the samples beside it: a few kB of made-up rows for each data set, in the format of its
raw file.

`python tests/samples/make.py`. The numbers are drawn with a fixed seed and are nobody's data.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import pickle
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from goodfit.data.breast_cancer import COLUMNS

# segments of a digital clock: top, upper left, upper right, middle, lower left, lower right, bottom
LIT = [
    "1110111",
    "0010010",
    "1011101",
    "1011011",
    "0111010",
    "1101011",
    "1101111",
    "1010010",
    "1111111",
    "1111011",
]
BOXES = (
    (0, 2, 0, 10),
    (0, 8, 0, 2),
    (0, 8, 8, 10),
    (7, 9, 0, 10),
    (8, 16, 0, 2),
    (8, 16, 8, 10),
    (14, 16, 0, 10),
)
# what pandas 3 calls by its public names, the published file calls by the names of their modules
OLD_NAMES = {
    b"cpandas\nDataFrame\n": b"cpandas.core.frame\nDataFrame\n",
    b"cpandas\nIndex\n": b"cpandas.core.indexes.base\nIndex\n",
    b"cpandas\nRangeIndex\n": b"cpandas.core.indexes.range\nRangeIndex\n",
    b"cnumpy._core.multiarray\n": b"cnumpy.core.multiarray\n",
}


def mnist() -> str:
    """Six clock digits of each kind, shifted by a few pixels: 784 grey values and the digit in a
    line.
    """
    rng = np.random.default_rng(0)
    lines = []
    for number in range(60):
        digit = number % 10
        image = np.zeros((28, 28), int)
        down, right = rng.integers(2, 10), rng.integers(4, 14)
        for on, (top, bottom, left, end) in zip(LIT[digit], BOXES, strict=True):
            if on == "1":
                image[down + top : down + bottom, right + left : right + end] = rng.integers(
                    150, 256
                )
        lines.append(",".join(map(str, [*image.ravel(), digit])))
    return "\n".join(lines) + "\n"


def breast_cancer() -> str:
    """A first line (rows, columns, names of classes), then 30 measurements and the code of the
    class.
    """
    rng = np.random.default_rng(1)
    code = (np.arange(60) % 5 > 1).astype(int)
    scale = 10.0 ** rng.integers(-1, 3, len(COLUMNS))
    values = (3 + rng.normal(size=(60, len(COLUMNS))) - 0.8 * code[:, None]).clip(0.01) * scale
    lines = [
        ",".join([*(f"{value:.4g}" for value in row), str(kind)])
        for row, kind in zip(values, code, strict=True)
    ]
    return "\n".join([f"60,{len(COLUMNS)},malignant,benign", *lines]) + "\n"


def reviews() -> str:
    """Fourteen films with six reviews and a plot each; two texts come twice."""
    rng = np.random.default_rng(2)
    words = {
        "fresh": [
            "a delight",
            "moving",
            "bold and funny",
            "beautifully acted",
            "never dull",
            "worth seeing",
        ],
        "rotten": [
            "a bore",
            "lifeless",
            "clumsy and loud",
            "badly acted",
            "hardly funny",
            "skip it",
        ],
    }
    parts = ["the story", "its lead", "the score", "the second half", "the dialogue", "the ending"]
    rows = []
    for film in range(14):
        title = f"Film {film}"
        for place in range(6):
            kind = "fresh" if (film + place) % 2 else "rotten"
            first, second = rng.choice(words[kind], 2, replace=False)
            one, two = rng.choice(parts, 2, replace=False)
            rows.append(
                [kind, f"{one.capitalize()} is {first}, {two} is {second}. ({film}{place})", title]
            )
        rows.append(["plot", f"Two strangers meet in town {film}.", title])
    rows += [[*rows[0][:2], "Film 5"], rows[1]]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["category", "text", "movie_name", "has_plot_and_reviews"])
    writer.writerows([*row, True] for row in rows)
    return stream.getvalue()


def electricity() -> pd.DataFrame:
    """Forty days of half hours from a Wednesday on: two peaks a day, less at weekends, a level that
    wanders.
    """
    rng = np.random.default_rng(3)
    days, steps = 40, 48
    clock = np.arange(steps) / steps * 2 * np.pi
    shape = 4 - np.cos(clock) - 0.5 * np.cos(2 * clock)
    work = np.array([(day + 2) % 7 < 5 for day in range(days)])
    level = np.cumsum(rng.normal(0, 0.15, days))
    demand = shape + 0.5 * work[:, None] + level[:, None] + rng.normal(0, 0.05, (days, steps))
    return pd.DataFrame(
        {
            "rownames": np.arange(1, days * steps + 1),
            "Demand": demand.ravel().round(2),
            "WorkDay": work.repeat(steps).astype(int),
            "Temperature": (20 + 4 * level[:, None] - 6 * np.cos(clock)).ravel().round(1),
        }
    )


def table() -> str:
    """Numbers and texts, "NA" being one of the texts; `price` is a number to foresee, `bought` a
    class.
    """
    rng = np.random.default_rng(4)
    lines = ["age,town,rooms,price,bought"]
    for _ in range(60):
        age, rooms, town = (
            rng.integers(18, 80),
            rng.integers(1, 6),
            rng.choice(["Ulm", "Bonn", "NA"]),
        )
        price = 50 * rooms + 40 * (town == "Bonn") + rng.normal(0, 10)
        lines.append(f"{age},{town},{rooms},{price:.1f},{'yes' if age + price > 260 else 'no'}")
    return "\n".join(lines) + "\n"


def old_pickle(frame: pd.DataFrame) -> bytes:
    """The pickle that the published file holds: names of columns are Python texts, not pyarrow's."""
    frame.columns = pd.Index(frame.columns.tolist(), dtype=object)
    content = pickle.dumps(frame, protocol=3)
    for new, old in OLD_NAMES.items():
        content = content.replace(new, old)
    return content


def contents() -> dict[str, bytes]:
    """Name of each sample and what is inside its compression."""
    return {
        "mnist_5k.csv.gz": mnist().encode(),
        "breast_cancer.csv": breast_cancer().encode(),
        "rotten_tomatoes_corpus_full.csv.bz2": reviews().encode(),
        "elecdemand.pkl.compress": old_pickle(electricity()),
        "table.csv": table().encode(),
    }


def packed(name: str, content: bytes) -> bytes:
    """The bytes of the file: the same on every machine with the same compressors."""
    if name.endswith(".gz"):
        return gzip.compress(content, mtime=0)
    if name.endswith(".bz2"):
        return bz2.compress(content)
    return lzma.compress(content) if name.endswith(".compress") else content


if __name__ == "__main__":
    folder = Path(__file__).parent
    for name, content in contents().items():
        size = (folder / name).write_bytes(packed(name, content))
        print(f"{name}: {size:,} bytes", file=sys.stderr)
