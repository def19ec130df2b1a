"""A table and a folder with every fault planted that docs/own-data.md shows, from a fixed seed."""

from __future__ import annotations

import csv
import random
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

_ROWS = 900
_ZIPS = ("01021", "04107", "10115", "80331")


def customers(path: Path, *, mended: bool) -> None:
    """Customers of a shop; `mended` is the same file without the cells that cannot be used."""
    chance = random.Random(0)  # noqa: S311 - data, no secret
    rows = [_customer(number, chance) for number in range(_ROWS)]
    if not mended:
        rows[10]["age"], rows[11]["age"], rows[40]["churned"] = "about 40", "4e300", ""
    for number, token in ((7, "?"), (8, ""), (9, "NA"), (70, "?")):
        rows[number]["age"] = token
    for number in range(100, 130):
        rows[number]["balance"] = "-999"
    for number in (20, 30):
        rows[number]["churned"] = rows[number]["churned"].title()
    for number in (200, 300, 400):
        rows[number]["churned"] = "no" if rows[number]["churned"] == "yes" else "yes"
    rows[12]["spent"], rows[50]["joined"] = "9,999,999.00", "2205-01-01"
    rows.append(dict(rows[3]))
    for number in range(500, 560):
        rows.append({**rows[number], "spent": f"{chance.uniform(10, 900):.2f}"})
    for number, row in enumerate(rows):
        row[""] = str(number)
        row["customer_id"] = f"C{number:05}"
    order = ["", "customer_id", *(name for name in rows[0] if name not in ("", "customer_id"))]
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, order)
        writer.writeheader()
        writer.writerows(rows)


def _customer(number: int, chance: random.Random) -> dict[str, str]:
    """One row, whose customers leave more often the younger they are, and the later they came."""
    age, year = chance.randint(18, 80), 2010 + number * 14 // _ROWS
    leaves = chance.random() < 0.1 + 0.3 * (age < 40) + 0.5 * (year > 2018)
    height = chance.choice(["180 cm", "165 cm", "1.8 m"])
    return {
        "zip": chance.choice(_ZIPS),
        "phone": f"0{chance.randint(10**9, 10**10 - 1)}",
        "age": str(age),
        "height": height,
        "spent": f"{chance.lognormvariate(6, 1):,.2f}",
        "balance": f"{chance.gauss(100, 30):.2f}",
        "discount": f"{chance.randint(0, 30)} %",
        "visits": f"{chance.randint(1, 9)},{chance.randint(100, 999)}",
        "joined": f"{year}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}",
        "last_order": f"{chance.randint(1, 12):02}/{chance.randint(1, 12):02}/2024",
        "plan": chance.choice(["basic", "basic", " basic", "plus", "pro"]),
        "country": "DE",
        "account": "closed" if leaves else "open",
        "churned": "yes" if leaves else "no",
    }


def photos(folder: Path) -> None:
    """Circles and squares in colour, as JPEG files, and among them what is none."""
    drawn = np.random.default_rng(0)
    for kind in ("circle", "square"):
        (folder / kind).mkdir(parents=True)
        for number in range(60):
            _drawn(kind, drawn).save(folder / kind / f"{number:03}.jpg", quality=90)
    (folder / "circle/empty.jpg").touch()
    whole = (folder / "circle/000.jpg").read_bytes()
    (folder / "circle/cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "circle/page.jpg").write_text("<html>not found</html>")
    shutil.copy(folder / "circle/001.jpg", folder / "circle/001 (1).jpg")
    shutil.copy(folder / "circle/002.jpg", folder / "square/002 copy.jpg")
    Image.open(folder / "square/003.jpg").save(folder / "square/003 small.jpg", quality=60)
    (folder / "square/Thumbs.db").write_bytes(b"\0" * 64)
    (folder / "notes.txt").write_text("taken in May")


def _drawn(kind: str, drawn: np.random.Generator) -> Image.Image:
    """A shape of any size, place and colour before a noisy background."""
    size = 64
    y, x = np.mgrid[:size, :size]
    at, radius = drawn.integers(20, 44, 2), drawn.integers(8, 18)
    distances = np.abs([y - at[0], x - at[1]])
    inside = np.hypot(*distances) < radius if kind == "circle" else distances.max(0) < radius
    pixels = drawn.integers(0, 60, (size, size, 3)) + drawn.integers(0, 90, 3)
    pixels[inside] = drawn.integers(120, 256, 3)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
