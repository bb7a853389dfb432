"""Acoustic features: the right size, at the right time."""

import numpy as np
import pytest

from eegic import Audio, envelope


def modulated(sfreq, seconds=6.0, carrier=1000.0, rate=4.0, depth=0.6):
    """A carrier whose amplitude is known: 0.5 * (1 + depth * sin(2 pi rate t))."""
    time = np.arange(round(seconds * sfreq)) / sfreq
    return Audio(0.5 * (1 + depth * np.sin(2 * np.pi * rate * time)) * np.sin(2 * np.pi * carrier * time), sfreq, "am")


@pytest.mark.parametrize("audio_rate", [8000, 22050, 44100])
@pytest.mark.parametrize("sfreq", [50.0, 64.0, 99.9, 128.0])
def test_recovers_a_known_amplitude(audio_rate, sfreq):
    found = envelope(modulated(audio_rate), sfreq)
    inside = (found.times > 1) & (found.times < 5)  # the low-pass rings where the sound begins and stops
    expected = 0.5 * (1 + 0.6 * np.sin(2 * np.pi * 4 * found.times[inside]))
    np.testing.assert_allclose(found.values[inside, 0], expected, rtol=0, atol=1e-3)
    assert found.names == ("envelope",)


@pytest.mark.parametrize("onset", [0.5, 1.0, 1.3137])
def test_a_burst_stays_where_the_sound_has_it(onset):
    """The centre of mass of the envelope is that of the burst, within a millisecond."""
    time = np.arange(3 * 22050) / 22050
    burst = 0.8 * np.exp(-0.5 * ((time - onset) / 0.05) ** 2) * np.sin(2 * np.pi * 880 * time)
    found = envelope(Audio(burst, 22050), 64)
    assert np.sum(found.times * found.values[:, 0]) / found.values.sum() == pytest.approx(onset, abs=0.001)


@pytest.mark.parametrize("seconds", [0.5, 1.0, 3.21])
@pytest.mark.parametrize("sfreq", [64.0, 100.0])
def test_covers_the_sound_to_within_a_sample(rng, seconds, sfreq):
    found = envelope(Audio(rng.uniform(-1, 1, round(seconds * 16000)), 16000), sfreq)
    assert abs(found.n_times / sfreq - seconds) <= 1 / sfreq
    np.testing.assert_array_equal(found.times, np.arange(found.n_times) / sfreq)


def test_is_never_negative(rng):
    """Filters ring beside a sharp onset; an amplitude cannot."""
    clicks = np.zeros(32000)
    clicks[::4000] = 1
    assert envelope(Audio(clicks, 16000), 64).values.min() >= 0
    assert envelope(Audio(rng.uniform(-1, 1, 16000) * (np.arange(16000) > 8000), 16000), 64).values.min() >= 0


def test_silence_is_zero():
    assert not envelope(Audio(np.zeros(16000), 16000), 64).values.any()


def test_scales_with_the_sound():
    loud, soft = modulated(8000), Audio(0.25 * modulated(8000).samples, 8000)
    np.testing.assert_allclose(envelope(soft).values, 0.25 * envelope(loud).values, rtol=0, atol=1e-6)


def test_channels_are_averaged(rng):
    stereo = rng.uniform(-1, 1, (16000, 2))
    mean = envelope(Audio(stereo.mean(axis=1), 16000), 64)
    np.testing.assert_allclose(envelope(Audio(stereo, 16000), 64).values, mean.values, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("sfreq", "error", "message"),
    [
        (4001.0, ValueError, r"sfreq: 4001 Hz is more than half the rate of the sound \(8000 Hz\). Lower it"),
        (0.0, ValueError, "sfreq: expected a finite positive number of hertz"),
        (None, TypeError, "sfreq: expected a number of hertz, got None"),
    ],
)
def test_wrong_rates(sfreq, error, message):
    with pytest.raises(error, match=message):
        envelope(modulated(8000), sfreq)


@pytest.mark.parametrize("audio", ["piece.wav", np.zeros(16000)])
def test_what_is_no_audio(audio):
    message = (
        rf"audio: expected an Audio, got {type(audio).__name__}. read_audio\(path\) reads one; Audio\(samples, sfreq\)"
    )
    with pytest.raises(TypeError, match=message):
        envelope(audio)


def test_too_little_sound():
    with pytest.raises(ValueError, match="click: 0.0013 s hold no sample at 64 Hz. Give more sound"):
        envelope(Audio(np.ones(10), 8000, "click"), 64)
