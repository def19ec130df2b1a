"""Any usual sound becomes the samples that one hears; bands are those of the mel scale."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from made_files import zipped

from goodfit.baseline.spectra import cepstra, mean_spectra
from goodfit.data import file_rows
from goodfit.data.faults import CellsError
from goodfit.data.sounds import Sounds
from goodfit.errors import UserError
from goodfit.model.log_mel import LogMel
from goodfit.schema import Source
from goodfit.store.prepare import prepare
from goodfit.system.mel import mel_bank

RATE = 8000


def sounds(**options: Any) -> Sounds:
    given = {
        "sources": {"files": Source(file="clips.zip", sha256=None)},
        "rate": RATE,
        "seconds": 1.0,
        "most_seconds": 60.0,
        "faults": "fail",
        "most_faults": 0.5,
        "test": 0.25,
        "validation": 0.25,
        "split_seed": 0,
    }
    return Sounds(**(given | options))


def tone(frequency: float, rate: int = RATE, seconds: float = 1.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)


def file_of(sound: np.ndarray, form: str = "WAV", rate: int = RATE, **options: Any) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, sound, rate, format=form, **options)
    return stream.getvalue()


@pytest.mark.fault(21)
def test_a_sound_of_another_format_than_its_name_says_is_told_in_use_as_in_training(
    tmp_path: Path,
) -> None:
    (tmp_path / "lie.wav").write_bytes(file_of(tone(440), "OGG"))
    (tmp_path / "true.ogg").write_bytes(file_of(tone(440), "OGG"))
    (part,) = file_rows.parts(tmp_path, "audio", Sounds.check_name)
    assert part.broken == {0: "is OGG, though its name ends with '.wav'"}
    assert part.where(0) == f"{tmp_path}, file lie.wav"


def pitch(sound: np.ndarray) -> float:
    """The loudest frequency of a sound at RATE."""
    return float(np.abs(np.fft.rfft(sound)).argmax() * RATE / len(sound))


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "MP3"])
@pytest.mark.parametrize("rate", [8000, 11025, 44100])
def test_a_tone_keeps_its_pitch_and_loudness_whatever_its_file(form: str, rate: int) -> None:
    got = sounds(seconds=0.5).decode(file_of(tone(440, rate), form, rate)).astype(float)
    assert got.shape == (4000,)
    assert pitch(got) == pytest.approx(440, abs=2)
    assert np.abs(got[500:-500]).max() / 32768 == pytest.approx(0.5, abs=0.04)


def test_sixteen_bits_come_back_bit_by_bit() -> None:
    values = np.array([0, 1, -1, 32767, -32768], np.int16)
    got = sounds(seconds=5 / RATE).decode(file_of(values, subtype="PCM_16"))
    assert got.tolist() == values.tolist()


def test_what_the_rate_cannot_carry_is_gone_and_no_other_tone() -> None:
    got = sounds().decode(file_of(tone(6000, 44100), rate=44100))
    assert np.abs(got[1000:-1000]).max() < 100


def test_channels_are_averaged() -> None:
    both = np.stack([tone(500), np.zeros(RATE)], 1)
    assert np.abs(sounds().decode(file_of(both))).max() / 32768 == pytest.approx(0.25, abs=0.01)


def test_a_short_sound_is_followed_by_zeros_and_a_long_one_is_cut() -> None:
    short, long = tone(440, seconds=0.25), tone(440, seconds=3)
    assert not sounds().decode(file_of(short))[2000:].any()
    assert np.array_equal(sounds().decode(file_of(long)), sounds(seconds=3.0).decode(
        file_of(long))[:RATE])  # fmt: skip


def planted() -> dict[str, bytes]:
    good = {f"{'ab'[n % 2]}/{n}.wav": file_of(tone(200 + 50 * n)) for n in range(12)}
    nan = np.full(100, np.nan, np.float32)
    flac = file_of(tone(300), "FLAC")
    return good | {
        "a/none.wav": file_of(np.zeros(0)),
        "a/empty.mp3": b"",
        "a/text.ogg": b"not found",
        "a/cut.flac": flac[: len(flac) // 2],
        "a/long.flac": file_of(np.zeros(RATE * 61), "FLAC"),
        "b/nan.wav": file_of(nan, subtype="FLOAT"),
        "b/named.mp3": file_of(tone(310)),
    }


FAULTS = {
    "a/none.wav": "has 0 samples",
    "a/empty.mp3": "is empty",
    "a/text.ogg": "is no sound",
    "a/cut.flac": "c",
    "a/long.flac": "claims 61 seconds; limit data.most_seconds=60",
    "b/nan.wav": "has samples that are no numbers",
    "b/named.mp3": "is WAV, though its name ends with '.mp3'",
}


@pytest.mark.fault(21)
def test_all_faulty_sounds_are_listed_and_quarantine_leaves_them_out(tmp_path: Path) -> None:
    raw = zipped(planted(), tmp_path / "clips.zip")
    with pytest.raises(UserError, match="7 of 19 files"):
        prepare(sounds(), raw, tmp_path / "out", made_with={})
    kept = prepare(sounds(faults="quarantine"), raw, tmp_path / "out", made_with={})
    told = {name: kept.left_out[name].startswith(problem) for name, problem in FAULTS.items()}
    assert told == dict.fromkeys(FAULTS, True)
    assert len(kept.left_out) == 7


@pytest.mark.fault(21)
@pytest.mark.parametrize("cell", ["/etc/passwd", b"RIFF", [0.5, 0.25], [[1, 2]], [40000.0], []])
def test_in_use_what_is_no_sound_is_refused_by_its_row(cell: Any) -> None:
    rows = pd.DataFrame({"audio": pd.Series([file_of(tone(1)), cell], dtype=object)})
    spec = sounds().fit(pd.DataFrame({"label": ["a", "b"]}))
    with pytest.raises(CellsError) as error:
        sounds().encode(rows, spec)
    assert [fault[:2] for fault in error.value.faults] == [(2, "audio")]


def test_triangles_divide_each_frequency_between_two_bands() -> None:
    bank = mel_bank(RATE, 4096, 20)
    first, last = bank[:, 0].argmax() + 1, bank[:, -1].argmax() - 1
    np.testing.assert_allclose(bank[first : last + 1].sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(bank.max(0), 1, atol=0.03)  # a frequency is at most half a step off


def test_a_thousand_hertz_is_a_thousand_mel() -> None:
    """2595 log10(1 + 1000 / 700) = 999.99; half of the way to 2000 mel, at 3,428.7 Hz."""
    bank = mel_bank(round(2 * 3428.7), 2000, 1)
    peak = bank[:, 0].argmax() * 3428.7 / 1000
    assert peak == pytest.approx(1000, abs=4)


def test_a_tone_is_loudest_in_the_band_around_it() -> None:
    layer = LogMel(RATE, bands=30, window=0.064, normalize="none", mask_bands=0.0, mask_frames=0.0)
    corners = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 4000 / 700), 32) / 2595) - 1)
    for band in (5, 12, 25):
        audio = torch.tensor(tone(corners[band + 1])[None] * 32768).short()
        bands, _ = layer(audio)
        assert bands.mean(2).argmax().item() == band


def test_the_power_of_a_tone_is_that_of_hanns_window() -> None:
    """A tone of amplitude a at a frequency of the frame: (a n / 4)^2 / n in its peak."""
    layer = LogMel(RATE, bands=1, window=0.064, normalize="none", mask_bands=0.0, mask_frames=0.0)
    layer.bank = torch.ones_like(layer.bank)
    audio = torch.tensor(tone(1000)[None] * 32768).short()
    n, amplitude = 512, 0.5
    # the peak and its two neighbours of half the height: 1 + 2 / 4 of the peak's power
    expected = np.log((amplitude * n / 4) ** 2 / n * 1.5)
    np.testing.assert_allclose(layer(audio)[0].numpy(), expected, atol=1e-3)


@pytest.mark.parametrize("normalize", ["none", "mean"])
def test_what_follows_the_end_of_a_sound_changes_nothing(normalize: str) -> None:
    layer = LogMel(
        RATE, bands=20, window=0.032, normalize=normalize, mask_bands=0.0, mask_frames=0.0
    )
    sound = torch.tensor(tone(700)[None] * 32768).short()
    padded = torch.cat([sound, torch.zeros(1, RATE, dtype=torch.int16)], 1)
    short, mask = layer(sound)
    long, longer_mask = layer(padded)
    inside = short.shape[2] - 1
    assert mask.all()
    assert not longer_mask[:, inside + 3 :].any()
    if normalize == "none":
        torch.testing.assert_close(short, long[..., : inside + 1])
    assert not long[..., inside + 3 :].any()


def test_a_microphone_is_taken_off_with_the_mean() -> None:
    """A constant gain of each band is a constant of its logarithm."""
    layer = LogMel(RATE, bands=20, window=0.032, normalize="mean", mask_bands=0.0, mask_frames=0.0)
    noise = np.random.default_rng(0).normal(0, 3000, RATE)
    loud, quiet = (torch.tensor(noise[None] * gain).short() for gain in (2.0, 1.0))
    torch.testing.assert_close(layer(loud)[0], layer(quiet)[0], atol=0.02, rtol=0)


def test_the_baseline_hears_what_the_network_hears() -> None:
    sound = (tone(700) * 32768).astype(np.int16)
    layer = LogMel(RATE, bands=40, window=0.032, normalize="none", mask_bands=0.0, mask_frames=0.0)
    bands = layer(torch.from_numpy(sound)[None])[0][0].numpy()
    spectrum = mean_spectra(sound[None], RATE)[0]
    np.testing.assert_allclose(spectrum[:40], bands.mean(1), atol=1e-3)


def test_a_mean_spectrum_hears_no_order_and_statistics_of_changes_do_not_depend_on_zeros() -> None:
    sound = np.random.default_rng(0).normal(0, 2000, RATE).astype(np.int16)
    padded = np.concatenate([sound, np.zeros(RATE, np.int16)])
    np.testing.assert_allclose(cepstra(padded[None], RATE), cepstra(sound[None], RATE), atol=1e-4)
    backwards = mean_spectra(sound[None, ::-1].copy(), RATE)
    np.testing.assert_allclose(backwards, mean_spectra(sound[None], RATE), atol=0.3)
