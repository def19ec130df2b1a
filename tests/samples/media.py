"""Pictures and sounds of the samples, which make.py writes: shapes, tones, clips of voices."""

from __future__ import annotations

import io
import json
import tarfile
import wave
import zipfile

import numpy as np
from PIL import Image


def images() -> bytes:
    """A zip of a folder: 18 disks and 18 frames of any size, as PNG in colour or grey, or JPEG."""
    rng = np.random.default_rng(6)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number in range(36):
            name = ["disks", "frames"][number % 2]
            height, width = (int(side) for side in rng.integers(12, 21, 2))
            y, x = np.indices((height, width)) / np.array([height, width])[:, None, None] - 0.5
            far = np.hypot(y, x) if name == "disks" else np.maximum(abs(y), abs(x))
            shown = (far < 0.4) & ((name == "disks") | (far > 0.25))
            colours = np.array([rng.integers(0, 80, 3), rng.integers(120, 256, 3)], np.uint8)
            image = Image.fromarray(colours[shown.astype(int)])
            form = "JPEG" if number % 18 == 4 else "PNG"
            content = io.BytesIO()
            (image.convert("L") if number % 6 == 3 else image).save(content, form, optimize=True)
            info = zipfile.ZipInfo(f"shapes/{name}/{number:02}.{form.lower()}")
            archive.writestr(info, content.getvalue())
    return stream.getvalue()


def stamps(before: bytes) -> bytes:
    """A tar with the pictures of three folders behind what it has: disks, frames and bars.

    Of each folder 16 pictures, two of a series, have a caption; a fourth folder has one picture,
    and a mirrored copy has no caption.
    """
    rng = np.random.default_rng(14)
    stream = io.BytesIO(before)
    y, x = np.indices((16, 16)) / 16 - 0.5
    shapes = {
        "animals": np.hypot(y, x) < 0.4,
        "food": (np.maximum(abs(y), abs(x)) < 0.4) & (np.maximum(abs(y), abs(x)) > 0.2),
        "plants": abs(x) < 0.15,
    }
    with tarfile.open(fileobj=stream, mode="a") as archive:
        for folder, shown in [*shapes.items(), ("people", shapes["food"])]:
            for number in range(16 if folder in shapes else 1):
                name = f"{folder}/a/{'bcfhmprs'[number // 2]}at{'_2' * (number % 2)}"
                layer = np.zeros((16, 16, 4), np.uint8)
                layer[shown] = [*rng.integers(0, 120, 3), 255]
                content = io.BytesIO()
                Image.fromarray(layer).save(content, "PNG", optimize=True)
                _add(archive, f"tuxpaint/stamps/{name}.png", content.getvalue())
                _add(archive, f"tuxpaint/stamps/{name}.txt", f"{name}.\n".encode())
        _add(archive, "tuxpaint/stamps/plants/a/bat_mirror.png", content.getvalue())
    return stream.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(f"./usr/share/{name}")
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def radii() -> str:
    """The table of the images' names, as beside their folder, with a number for each."""
    rng = np.random.default_rng(8)
    lines = ["image,radius,shape"]
    for number in range(36):
        ending = "jpeg" if number % 18 == 4 else "png"
        folder = ["disks", "frames"][number % 2]
        lines.append(f"{folder}/{number:02}.{ending},{rng.uniform(5, 9):.2f},{folder}")
    return "\n".join(lines) + "\n"


def offers() -> str:
    """Things for sale, with notes and the photos of `images`: what is said and seen tells all."""
    rng = np.random.default_rng(12)
    notes = {"new": 30, "like new": 20, "scratched": -10, "broken, for spares": -30}
    lines = ["offer_id,weight,shop,photo,note,title,price,sold,fragile"]
    for number in range(108):
        frame, file = number % 2, number % 36
        photo = f"{('disks', 'frames')[frame]}/{file:02}.{'jpeg' if file % 18 == 4 else 'png'}"
        note = str(rng.choice(list(notes)))
        title = (
            f"{rng.choice(['small', 'large'])} {rng.choice(['lamp', 'clock', 'plate'])} {number}"
        )
        weight, shop = rng.integers(1, 40), rng.choice(["Ulm", "Bonn"])
        price = 60 + weight + notes[note] + 20 * frame + rng.normal(0, 2)
        cells = (
            f'{900 + number},{weight},{shop},{photo},"{note if number % 9 != 4 else ""}",{title}'
        )
        sold = "yes" if notes[note] + 40 * frame + weight / 4 > 27 else "no"
        lines.append(f"{cells},{price:.1f},{sold},{'yes' if weight + 15 * frame > 27 else 'no'}")
    return "\n".join(lines) + "\n"


def pitches() -> str:
    """The table of the sounds' names, without their ending, with a number and a split for each."""
    rng = np.random.default_rng(9)
    lines = ["clip,pitch,fold"]
    for number in range(24):
        fold = "train" if number < 16 else ["val", "test"][number // 4 - 4]
        folder = ["falling", "rising"][number % 2]
        lines.append(f"{folder}/{number:02},{rng.uniform(100, 200):.1f},{fold}")
    return "\n".join(lines) + "\n"


def tone(rate: int, phase: np.ndarray) -> bytes:
    """A WAV file of 8 bits. Few steps of loudness: packed, it is half as large."""
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(rate)
        levels = np.round(6 * np.sin(2 * np.pi * phase)) * 16 + 128
        file.writeframes(levels.astype(np.uint8).tobytes())
    return content.getvalue()


def clips(names: str, texts: int, languages: str, start: float) -> bytes:
    """The tar of `texts` tones in each language, each language at its own pitch.

    `names` has places for both. They are WAV whatever their ending: only few programs write Ogg.
    """
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for pitch, language in enumerate(languages.split()):
            for number in range(texts):
                time = np.arange(100 + 4 * number) / 1000
                content = tone(1000, (40 * pitch + 50 + start + number / 8) * time)
                _add(archive, names.format(number, language), content)
    return stream.getvalue()


def sounds() -> bytes:
    """A zip of 12 rising and 12 falling tones of 0.2 to 0.4 seconds."""
    rng = np.random.default_rng(7)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number in range(24):
            name = ["falling", "rising"][number % 2]
            rate = (1000, 2000)[number % 4 // 2]
            time = np.arange(int(rate * rng.uniform(0.2, 0.4))) / rate
            slope = rng.uniform(300, 500) * (1 if name == "rising" else -1)
            phase = rng.uniform(150, 200) * time + slope * (time - time[-1]) * time / 2
            info = zipfile.ZipInfo(f"{name}/{number:02}.wav")
            archive.writestr(info, tone(rate, phase), zipfile.ZIP_DEFLATED)
    return stream.getvalue()


# of a tokenizer as BERT's: marks around a text, and small letters
_TEMPLATE = [
    {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
    {"Sequence": {"id": "A", "type_id": 0}},
    {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
]
_NORMALIZER = {
    "type": "BertNormalizer",
    "clean_text": True,
    "handle_chinese_chars": True,
    "strip_accents": None,
    "lowercase": True,
}


def tokenizer() -> bytes:
    """A tokenizer.json as BERT's, of letters and some words and endings of `texts`."""
    letters = "abcdefghijklmnopqrstuvwxyz!-'"
    words = ["account", "invoice", "refund", "password", "great", "thanks", "the", "##ed"]
    known = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{each}" for each in letters)]
    known += words
    marks = {}
    for name in ("[CLS]", "[SEP]"):
        marks[name] = {"id": name, "ids": [known.index(name)], "tokens": [name]}
    added = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    content = {
        "version": "1.0",
        # the published file says so, too: it is to be undone
        "truncation": {"max_length": 8, "strategy": "LongestFirst", "stride": 0},
        "padding": {
            "strategy": {"Fixed": 8},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "[PAD]",
        },
        "added_tokens": [
            {"id": place, "content": name, "special": True, **added}
            for place, name in enumerate(known[:4])
        ],
        "normalizer": _NORMALIZER,
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": _TEMPLATE,
            "pair": _TEMPLATE,
            "special_tokens": marks,
        },
        "decoder": None,
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {name: place for place, name in enumerate(known)},
        },
    }
    return json.dumps(content).encode()
