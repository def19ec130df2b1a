"""Another voice is another pitch, another line another colour, and both end where they should."""

from __future__ import annotations

import numpy as np
import torch

from goodfit.augment.channel import Channel
from goodfit.augment.per_sample_random import PerSampleRandom
from goodfit.contract import Batch

RATE, SIZE = 8000, 8000


def changed(sound: np.ndarray, samples: int = 16, **limits: float) -> np.ndarray:
    """What becomes of a sound in several places of a batch."""
    audio = torch.tensor(np.tile(sound, (samples, 1))).short()
    rows = torch.arange(samples)
    augment = Channel(**({"pitch": 0.0, "line": 0.0, "noise": 0.0} | limits))
    batch = Batch({"audio": audio}, {}, rows)
    return augment(batch, PerSampleRandom(rows, seed=0, epoch=0)).inputs["audio"].numpy()


def tone(frequency: float, seconds: float = 0.5) -> np.ndarray:
    time = np.arange(SIZE) / RATE
    return np.where(time < seconds, 8000 * np.cos(2 * np.pi * frequency * time), 0)


def test_without_limits_nothing_changes() -> None:
    sound = tone(500)
    np.testing.assert_allclose(changed(sound), np.tile(sound.astype(np.int16), (16, 1)), atol=1)


def test_a_pitch_is_higher_as_much_as_the_sound_is_shorter() -> None:
    for got in changed(tone(500), pitch=0.2):
        end = int(np.flatnonzero(got)[-1]) + 1
        heard = np.abs(np.fft.rfft(got, 80_000)).argmax() * RATE / 80_000
        assert 400 <= heard <= 600
        assert abs(heard * end / RATE / (500 * 0.5) - 1) < 0.01


def test_a_line_changes_the_loudness_of_a_tone_within_its_limit() -> None:
    gains = np.abs(changed(tone(1000), line=6.0)[:, 1000:3000]).max(1) / 8000
    assert gains.min() >= 10 ** (-6 / 20) - 0.02
    assert gains.max() <= 10 ** (6 / 20) + 0.02
    assert gains.std() > 0.05


def test_noise_is_a_share_of_the_level_of_the_sound() -> None:
    sound = tone(500)
    noise = changed(sound, samples=64, noise=0.5) - sound.astype(np.int16)
    shares = noise[:, :4000].std(1) / (8000 / 2**0.5)
    assert 0 <= shares.min() < 0.1
    assert 0.4 < shares.max() <= 0.52


def test_silence_behind_the_end_stays_silence() -> None:
    got = changed(tone(500, 0.5), pitch=0.2, line=10.0, noise=0.3)
    assert not got[:, 5001:].any()
