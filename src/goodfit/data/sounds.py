"""Anybody's sounds, one sub-folder a class: any rate, any usual format, mono or not.

Letters: N sounds, B sounds that are encoded together, T samples of a sound, C channels, L samples
of what is kept of it.
"""

from __future__ import annotations

import base64
import io
import re
import wave
from collections.abc import Mapping, Sequence
from functools import partial
from math import gcd
from typing import Any, Literal

import numpy as np
import pandas as pd

from goodfit.contract import DataSpec, Field
from goodfit.data.base import Array, check_columns
from goodfit.data.faults import each
from goodfit.data.files import FileDataSet, file_bytes
from goodfit.errors import UserError
from goodfit.records import Exhibit
from goodfit.schema import Count, Fraction, Rate, Source, Whole
from goodfit.system.extras import needs

_ENDINGS = {
    "WAV": (".wav", ".wave"),
    "FLAC": (".flac",),
    "OGG": (".ogg", ".oga", ".opus"),
    "MP3": (".mp3",),
}
# how the files of a format begin; an MP3 has tags in front, or begins with a frame (ISO 11172-3)
_BEGINNINGS = {
    "WAV": rb"RIFF....WAVE|RF64....WAVE",
    "FLAC": rb"fLaC",
    "OGG": rb"OggS",
    "MP3": rb"ID3|\xff[\xe2-\xff]",
}
_LOUDEST = 32767  # of 16 bits
# of what a network hears, where nobody says otherwise: most of what speech is told by
_RATE, _MOST_SECONDS = 16_000, 10.0
_WHOLE = 0.95  # of the sounds
_POINTS = 200  # of a curve for a reader


class Sounds(FileDataSet):
    """Sounds of `seconds` at `rate` samples a second; a raw row has the column `audio`.

    It holds a sound's file, as bytes or base64, or its samples (T,) at that rate, as whole numbers
    of 16 bits. Channels are averaged, other rates resampled without aliases; what is longer is cut
    at its end, what is shorter is followed by zeros.
    """

    inputs = ("audio",)
    modality = "sound"
    cell = "audio"
    endings = _ENDINGS
    form = "rates"

    def __init__(
        self,
        *,
        sources: Mapping[str, Source],
        rate: Count,
        seconds: Rate,
        most_seconds: Rate,
        faults: Literal["fail", "quarantine"],
        most_faults: Fraction,
        test: Fraction,
        validation: Fraction,
        split_seed: Whole,
    ) -> None:
        super().__init__(
            sources=sources,
            faults=faults,
            most_faults=most_faults,
            test=test,
            validation=validation,
            split_seed=split_seed,
        )
        self.rate, self.seconds, self.most_seconds = rate, seconds, most_seconds

    def decode(self, content: bytes) -> Array:
        """The samples (L,) of a sound's file, in 16 bits.

        Raises:
            UserError: it is cut or broken, has no sample, is too long, or holds no numbers.
        """
        return _fitted(opened(content, self.rate, self.most_seconds), self._length)

    def decoding(self) -> dict[str, Any]:
        """Rate and length, and the version of what decodes."""
        with needs("audio"):
            import soundfile

        library = soundfile.__libsndfile_version__
        limits = (self.rate, self.seconds, self.most_seconds)
        return {"limits": limits, "soundfile": (soundfile.__version__, library)}

    @property
    def array_bytes(self) -> int:
        """Two bytes for each sample."""
        return 2 * self._length

    @staticmethod
    def measured(content: bytes) -> tuple[float, ...]:
        """Seconds, and samples a second.

        Raises:
            UserError: it is no sound, or broken.
        """
        with needs("audio"):
            import soundfile
        Sounds.format_of(content)
        try:
            found = soundfile.info(io.BytesIO(content))
        except Exception as error:  # whatever a decoder makes of bytes from anywhere
            raise UserError(f"cannot be decoded: {error or type(error).__name__}") from None
        return found.frames / found.samplerate, found.samplerate

    @staticmethod
    def described(measures: Sequence[tuple[float, ...]]) -> str:
        """Seconds, from the shortest to the longest, and rates."""
        seconds = sorted({f"{each[0]:.2g}" for each in measures}, key=float)
        rates = [f"{rate:,.0f}" for rate in sorted(set(np.array(measures)[:, 1]))]
        spread = seconds[0] if len(seconds) == 1 else f"{seconds[0]} to {seconds[-1]}"
        return f"{spread} s, {', '.join(rates[:3])}{', ...' if len(rates) > 3 else ''} Hz"

    @staticmethod
    def suited(measures: Sequence[tuple[float, ...]]) -> dict[str, Any]:
        """So long that nineteen of twenty are whole, ten seconds at most, at their rate or less."""
        long = float(np.quantile([each[0] for each in measures], _WHOLE))
        seconds = float(min(max(np.ceil(2 * long) / 2, 0.5), _MOST_SECONDS))
        return {"rate": int(min(_RATE, max(each[1] for each in measures))), "seconds": seconds}

    @staticmethod
    def becomes(measures: Sequence[tuple[float, ...]], options: Mapping[str, Any]) -> str:
        """So many seconds, and how many sounds are cut."""
        seconds, rate = options["seconds"], options["rate"]
        longer = sum(each[0] > seconds for each in measures) / len(measures)
        cut = f"; {longer:.0%} of the files are longer, and are cut" if longer else ""
        return f"{seconds:g} s at {rate:,} Hz{cut}"

    @staticmethod
    def format_of(content: bytes) -> str:
        """The format of a sound's file.

        Raises:
            UserError: it is none that is read here.
        """
        for form, beginning in _BEGINNINGS.items():
            if re.match(beginning, content, re.DOTALL):
                return form
        raise UserError(f"is no sound that is read here ({', '.join(_BEGINNINGS)})")

    def fit(self, train: pd.DataFrame) -> DataSpec:
        """The classes of train; the network measures loudness by itself."""
        goal = self.goal(train)
        return DataSpec(
            data=f"{type(self).__module__}.{type(self).__qualname__}",
            kind=self.kind,
            outputs=len(goal.labels) or 1,
            inputs={"audio": Field((self._length,), "int16")},
            targets={"target": goal},
            facts={"rate": self.rate, "most_seconds": self.most_seconds},
        )

    @staticmethod
    def encode(rows: pd.DataFrame, spec: DataSpec) -> dict[str, Array]:
        """`audio` (B, L) in 16 bits, of files or samples.

        Raises:
            UserError: the column `audio` is missing.
            CellsError: a cell is no sound.
        """
        check_columns(rows, ["audio"])
        (length,) = spec.inputs["audio"].fixed_shape
        read = partial(_cell, rate=spec.facts["rate"], most_seconds=spec.facts["most_seconds"])
        sounds = [_fitted(sound, length) for sound in each(rows["audio"], read)]
        return {"audio": np.asarray(sounds, np.int16).reshape(-1, length)}

    @staticmethod
    def show(sample: Mapping[str, Array], row: pd.Series[Any], spec: DataSpec) -> Exhibit:
        """The loudest of each stretch of the sound (L,), as a curve."""
        stretches = np.array_split(np.abs(sample["audio"].astype(float)) / _LOUDEST, _POINTS)
        return Exhibit(curve=[float(stretch.max()) for stretch in stretches if len(stretch)])

    def example(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Three sounds as WAV in base64."""
        packed = [_packed(sound, self.rate) for sound in rows["audio"].head(3)]
        return pd.DataFrame({"audio": packed})

    @property
    def _length(self) -> int:
        return max(round(self.rate * self.seconds), 1)


def opened(content: bytes, rate: int, most_seconds: float) -> Array:
    """The samples (T,) of a sound's file at `rate`; its length is read before it is decoded.

    Raises:
        UserError: it is no sound that can be read, has no sample, is too long, or has no numbers.
    """
    with needs("audio"):
        import soundfile

    Sounds.format_of(content)
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            seconds = file.frames / file.samplerate
            if file.frames == 0:
                raise UserError("has 0 samples")
            if seconds > most_seconds:
                limit = f"limit data.most_seconds={most_seconds:g}"
                raise UserError(f"claims {seconds:,.0f} seconds; {limit}")
            sound = file.read(dtype="float32", always_2d=True)  # (T, C)
            own_rate, promised = file.samplerate, file.frames
    except UserError:
        raise
    except Exception as error:  # whatever a decoder makes of bytes from anywhere
        raise UserError(f"cannot be decoded: {error or type(error).__name__}") from None
    if len(sound) == 0:
        raise UserError("has 0 samples")
    if len(sound) < promised:
        raise UserError(f"is cut: {len(sound):,} of {promised:,} samples")
    if not np.isfinite(sound).all():
        raise UserError("has samples that are no numbers")
    return _in_16_bits(_resampled(sound.mean(1), own_rate, rate))


def _resampled(sound: Array, own_rate: int, rate: int) -> Array:
    """The sound (T,) at another rate, without what that rate cannot carry."""
    from scipy.signal import resample_poly

    if own_rate == rate:
        return sound
    common = gcd(own_rate, rate)
    resampled: Array = resample_poly(sound, rate // common, own_rate // common)
    return resampled


def _in_16_bits(sound: Array) -> Array:
    """A sound (T,) between -1 and 1 as whole numbers; what is louder is clipped."""
    # a file of 16 bits comes back as it was: libsndfile divides by 32,768
    return np.round(sound * (_LOUDEST + 1.0)).clip(-_LOUDEST - 1, _LOUDEST).astype(np.int16)


def _fitted(sound: Array, length: int) -> Array:
    """A sound (T,) cut or followed by zeros, (L,)."""
    fitted = np.zeros(length, np.int16)
    fitted[: len(sound)] = sound[:length]
    return fitted


def _cell(cell: Any, rate: int, most_seconds: float) -> Array:
    """The samples (T,) of a sound, as a caller sends it."""
    content = file_bytes(cell)
    if content is not None:
        return opened(content, rate, most_seconds)
    try:
        values = np.asarray(cell, float)
    except (ValueError, TypeError):
        raise UserError("is no array of numbers") from None
    if values.ndim != 1 or not values.size:
        raise UserError(f"is {values.shape}, expected samples (time,) at {rate:,} a second")
    if (values != np.round(values)).any() or np.abs(values).max() > _LOUDEST + 1:
        raise UserError("has samples that are no whole numbers of 16 bits; send a file, or those")
    return values.clip(-_LOUDEST - 1, _LOUDEST).astype(np.int16)


def _packed(sound: Array, rate: int) -> str:
    """A sound (L,) as a WAV file in base64."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(sound.astype("<i2").tobytes())
    return base64.b64encode(stream.getvalue()).decode()
