"""Writes the samples beside it: a few kB for each data set, in the format of its raw file.

`python tests/samples/make.py`. The rows are made up, with fixed seeds, and are nobody's data.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import pickle
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from goodfit.data.breast_cancer import COLUMNS

sys.path.insert(0, str(Path(__file__).parent))  # where it is imported by its path
from media import clips, images, offers, pitches, radii, sounds, stamps, tokenizer

# which segments of a digital clock are lit for each digit: top, upper left, upper right, middle,
# lower left, lower right, bottom
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
# of each segment, in pixels: first row and behind the last, first column and behind the last
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

# in English and in French
VERBS = (
    ("Opens the ", "Ouvre "),
    ("Closes the ", "Ferme "),
    ("Deletes the ", "Supprime "),
    ("Prints the ", "Imprime "),
    ("Renames the ", "Renomme "),
    ("Copies the ", "Copie "),
    ("Shows the ", "Affiche "),
    ("Hides the ", "Masque "),
)
NOUNS = (
    ("selected file", "le fichier sélectionné"),
    ("active window", "la fenêtre active"),
    ("first sheet", "la première feuille"),
    ("whole table", "le tableau entier"),
    ("new page", "la nouvelle page"),
    ("last row", "la dernière ligne"),
    ("status bar", "la barre d'état"),
    ("old version", "l'ancienne version"),
)
HOW = (
    ("", ""),
    (" at once", " aussitôt"),
    (" without a question", " sans question"),
    (" of the document", " du document"),
)
SAME = ("See also the menu Tools.", "Voir aussi le menu Outils.")


def mnist() -> str:
    """Each clock digit six times, shifted by a few pixels: 784 grey values and the digit a line."""
    rng = np.random.default_rng(0)
    lines = []
    for number in range(60):
        digit = number % 10
        image = np.zeros((28, 28), int)
        down, right = rng.integers(2, 10), rng.integers(4, 14)
        for lit, (top, bottom, left, end) in zip(LIT[digit], BOXES, strict=True):
            if lit == "1":
                segment = slice(down + top, down + bottom), slice(right + left, right + end)
                image[segment] = rng.integers(150, 256)
        lines.append(",".join(map(str, [*image.ravel(), digit])))
    return "\n".join(lines) + "\n"


def breast_cancer() -> str:
    """A first line (rows, columns, names of classes), then 30 measurements and a class a line."""
    rng = np.random.default_rng(1)
    codes = (np.arange(60) % 5 > 1).astype(int)
    scale = 10.0 ** rng.integers(-1, 3, len(COLUMNS))
    standard = 3 + rng.normal(size=(60, len(COLUMNS))) - 0.8 * codes[:, None]
    values = standard.clip(0.01) * scale

    lines = [f"60,{len(COLUMNS)},malignant,benign"]
    for row, code in zip(values, codes, strict=True):
        cells = [f"{value:.4g}" for value in row]
        lines.append(",".join([*cells, str(code)]))
    return "\n".join(lines) + "\n"


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
        for review in range(6):
            verdict = "fresh" if (film + review) % 2 else "rotten"
            praise, more = rng.choice(words[verdict], 2, replace=False)
            part, other = rng.choice(parts, 2, replace=False)
            text = f"{part.capitalize()} is {praise}, {other} is {more}. ({film}{review})"
            rows.append([verdict, text, title])
        rows.append(["plot", f"Two strangers meet in town {film}.", title])
    # a text about two films, and a whole row twice
    rows.append([*rows[0][:2], "Film 5"])
    rows.append(rows[1])

    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["category", "text", "movie_name", "has_plot_and_reviews"])
    writer.writerows([*row, True] for row in rows)
    return stream.getvalue()


def electricity() -> pd.DataFrame:
    """Forty days of half hours from a Wednesday on: two peaks a day, less demand at weekends."""
    rng = np.random.default_rng(3)
    days, steps = 40, 48
    clock = np.arange(steps) / steps * 2 * np.pi
    daily = 4 - np.cos(clock) - 0.5 * np.cos(2 * clock)
    work = np.array([(day + 2) % 7 < 5 for day in range(days)])
    level = np.cumsum(rng.normal(0, 0.15, days))  # wanders from day to day
    demand = daily + 0.5 * work[:, None] + level[:, None] + rng.normal(0, 0.05, (days, steps))
    temperature = 20 + 4 * level[:, None] - 6 * np.cos(clock)
    return pd.DataFrame(
        {
            "rownames": np.arange(1, days * steps + 1),
            "Demand": demand.ravel().round(2),
            "WorkDay": work.repeat(steps).astype(int),
            "Temperature": temperature.ravel().round(1),
        }
    )


def table() -> str:
    """Every type of column, and missing cells: `price` is a number to predict, `bought` a class."""
    rng = np.random.default_rng(4)
    lines = ["id,age,town,rooms,code,day,share,garden,income,price,bought"]
    for row in range(60):
        age = rng.integers(18, 80)
        rooms = rng.integers(1, 6)
        town = rng.choice(["Ulm", "Bonn", "NA"])
        price = 50 * rooms + 40 * (town == "Bonn") + rng.normal(0, 10)
        bought = "yes" if age + price > 260 else "no"
        code, day = f"0{row % 4}7", f"{1 + row % 28:02}.{1 + row % 12:02}.2024"
        income = "" if row % 11 == 5 else f'"{1 + row % 5},{100 + row},{row:03}"'
        others = f"{code},{day},{row % 9}%,{row % 3 == 0},{income}"
        lines.append(f"{row},{age},{town},{rooms},{others},{price:.1f},{bought}")
    return "\n".join(lines) + "\n"


def texts() -> str:
    """Eighty tickets in three topics, each with words of its own; accents, and two copies."""
    rng = np.random.default_rng(0)
    words = {
        "billing": ["invoice", "refund", "caf\u00e9", "paid", "twice"],
        "login": ["password", "reset", "locked", "e-mail", "T\u00fcr"],
        "praise": ["great", "thanks", "love", "it!", "sch\u00f6n"],
    }
    shared = ["the", "please", "my", "account", "today", "is", "and", "it's"]
    lines = ["ticket_id,body,shop,topic"]
    for number in range(78):
        topic = list(words)[number % 3]
        drawn = [*rng.choice(words[topic], 3), *rng.choice(shared, 4)]
        body = " ".join(rng.permutation(drawn))
        lines.append(f'{7000 + number},"{body}",s{rng.integers(12)},{topic}')
    return "\n".join([*lines, *lines[1:3]]) + "\n"


def series() -> str:
    """Three shops by the day for 18 weeks: sales with weekends, a promotion that is planned, rain.

    The second opens three weeks later; the last week of each has its promotions alone.
    """
    rng = np.random.default_rng(8)
    first = np.datetime64("2024-01-01")
    lines = ["shop,day,sales,promotion,rain"]
    for number, shop in enumerate(["Ulm", "Bonn", "Jena"]):
        level = 20.0 * 4**number
        for day in range(21 * (number == 1), 126 + 7):
            promotion, rain = int(rng.random() < 0.2), rng.gamma(1.0, 2.0)
            weekend = 0.5 * (day % 7 > 4)
            sales = level * (1 + weekend + 0.3 * promotion - 0.02 * rain + rng.normal(0, 0.05))
            seen = f"{sales:.1f},{promotion},{rain:.1f}" if day < 126 else f",{promotion},"
            lines.append(f"{shop},{first + day},{seen}")
    return "\n".join(lines) + "\n"


def stations() -> pd.DataFrame:
    """210 days of three stations, whose riders stand in the row 14 days later, with covariates."""
    rng = np.random.default_rng(9)
    days = np.arange(210)
    weekday = (days + 1) % 7 < 5
    teams = ("Blackhawks_Home", "Bulls_Home", "Bears_Home", "WhiteSox_Home", "Cubs_Home")
    columns = {name: (rng.random(210) < 0.2).astype(int) for name in teams}
    columns |= {"temp": (40 + 30 * np.sin(days / 58)).round(), "percip": np.zeros(210)}
    columns |= {"weather_snow": (days % 11 == 0) * 0.5, "weather_storm": (days % 13 == 0) * 0.5}
    for number, name in enumerate(["Austin", "Monroe", "Polk"]):
        riders = 2.0 * 3**number * (1 + 2 * weekday + 0.2 * rng.normal(size=210))
        columns[name] = riders.round(1)
    dates = [str(np.datetime64("2001-01-22") + day) for day in days]
    frame = pd.DataFrame(columns | {"ridership": 0.0})
    frame["date"] = pd.Series(dates, dtype=object)  # as the published file has it
    return frame


def crowns() -> bytes:
    """A wheel with two photos of 400 x 300 pixels: green disks on brown ground, and their boxes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as wheel:
        for number in range(2):
            rng = np.random.default_rng(5 + number)
            photo = np.full((300, 400, 3), (150, 120, 90), np.uint8)
            y, x = np.indices(photo.shape[:2])
            objects = []
            # one disk in each square of 50 pixels, so that none hides another
            for row, column in np.ndindex(6, 8):
                radius = int(rng.integers(7, 14))
                down, right = (50 * np.array([row, column]) + rng.integers(15, 35, 2)).tolist()
                photo[(y - down) ** 2 + (x - right) ** 2 < radius**2] = (60, 140, 50)
                corners = zip(
                    ("xmin", "ymin", "xmax", "ymax"),
                    (right - radius, down - radius, right + radius, down + radius),
                    strict=True,
                )
                box = "".join(f"<{name}>{value}</{name}>" for name, value in corners)
                objects.append(f"<object><name>Tree</name><bndbox>{box}</bndbox></object>")
            size = "<size><width>400</width><height>300</height></size>"
            text = f"<annotation>{size}{''.join(objects)}</annotation>"
            png = io.BytesIO()
            Image.fromarray(photo).save(png, "PNG", optimize=True)
            files = {"xml": text.encode(), "png": png.getvalue()}
            for ending, content in files.items():
                # ZipInfo has a date of its own: else the bytes would differ from day to day
                info = zipfile.ZipInfo(f"deepforest/data/SITE_{number}.{ending}")
                wheel.writestr(info, content, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def help_pages(language: str, sentences: int) -> bytes:
    """The tar of 24 help pages; `sentences` is 0 for the English and 1 for the French ones.

    Sentences differ in their numbers from page to page, one is the same on all, one is not
    translated, one is too short, and tags divide words.
    """
    rng = np.random.default_rng(5)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for page in range(24):
            lines = ['<html><head><meta charset="utf-8"></head><body>']
            lines.append('<p id="par_same">x</p><h1 id="hd_id1">Help</h1>')
            for paragraph in range(8):
                parts = [
                    pairs[rng.integers(len(pairs))][sentences] for pairs in (VERBS, NOUNS, HOW)
                ]
                text = f"{parts[0]}<b>{parts[1]}</b>{parts[2]} ({page}{paragraph})."
                lines.append(f'<p id="par_id{paragraph}">{text}</p>')
            lines.append('<p id="par_id8">Sub Example As Object</p>')
            lines.append(f'<p id="par_id9">{SAME[sentences]}</p></body></html>')

            content = "\n".join(lines).encode()
            name = f"./usr/share/libreoffice/help/{language}/text/guide/page{page}.html"
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def debian_package(data: bytes) -> bytes:
    """An archive of ar with the members of deb(5): `data` is a tar, and becomes data.tar.xz."""
    members = {"debian-binary": b"2.0\n", "control.tar.xz": b"", "data.tar.xz": lzma.compress(data)}
    package = b"!<arch>\n"
    for name, content in members.items():
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n"
        package += header.encode() + content + b"\n" * (len(content) % 2)
    return package


def old_pickle(frame: pd.DataFrame) -> bytes:
    """A pickle as the published file holds it: column names are Python's texts, not pyarrow's."""
    frame.columns = pd.Index(frame.columns.tolist(), dtype=object)
    content = pickle.dumps(frame, protocol=3)
    for new, old in OLD_NAMES.items():
        content = content.replace(new, old)
    return content


def contents() -> dict[str, bytes]:
    """The uncompressed content of each sample, by its name."""
    return {
        "mnist_5k.csv.gz": mnist().encode(),
        "breast_cancer.csv": breast_cancer().encode(),
        "rotten_tomatoes_corpus_full.csv.bz2": reviews().encode(),
        "elecdemand.pkl.compress": old_pickle(electricity()),
        "table.csv": table().encode(),
        "texts.csv": texts().encode(),
        "tokenizer.json": tokenizer(),
        "series.csv": series().encode(),
        "offers.csv": offers().encode(),
        "Chicago.pkl.compress": old_pickle(stations()),
        "deepforest-2.1.0.whl": crowns(),
        "images.zip": images(),
        "sounds.zip": sounds(),
        "radii.csv": radii().encode(),
        "pitches.csv": pitches().encode(),
        "tuxpaint-stamps-default_2022.06.04-1.deb": stamps(
            clips("tuxpaint/stamps/x/{}_desc_{}.ogg", 12, "be bg ca el es fr ro ru", 0)
        ),
        "klettres-data_4%3a22.12.3-1.deb": clips("klettres/{1}/alpha/{0}.ogg", 3, "es fr ru", 3),
        **{
            f"asterisk-core-sounds-{language}-wav_1.6.1-1.deb": clips(
                "asterisk/sounds/{1}_a/{0}.wav", 3, language, start
            )
            for language, start in (("es", 5), ("fr", 16), ("ru", 27))
        },
        "libreoffice-help-en-us_4%3a7.4.7-1+deb12u14.deb": help_pages("en-US", 0),
        "libreoffice-help-fr_4%3a7.4.7-1+deb12u14.deb": help_pages("fr", 1),
    }


def compressed(name: str, content: bytes) -> bytes:
    """The bytes of the file, compressed as its name says; gzip's date is left out."""
    if name.endswith(".gz"):
        return gzip.compress(content, mtime=0)
    if name.endswith(".bz2"):
        return bz2.compress(content)
    if name.endswith(".compress"):
        return lzma.compress(content)
    if name.endswith(".deb"):
        return debian_package(content)
    return content


if __name__ == "__main__":
    folder = Path(__file__).parent
    for name, content in contents().items():
        size = (folder / name).write_bytes(compressed(name, content))
        print(f"{name}: {size:,} bytes", file=sys.stderr)
