"""The synthesiser: right notes at the right times, no clicks, no aliasing, one loudness."""

import numpy as np
import pytest

from eegic import envelope
from eegic.datasets import TIMBRES, Melody, MelodyGrammar, synthesise

timbres = pytest.mark.parametrize("timbre", TIMBRES)


def play(pitches, onsets, *, duration, held=0.45, velocities=None, **options):
    n = len(pitches)
    velocities = [90] * n if velocities is None else velocities
    melody = Melody(pitches, onsets, [held] * n, velocities, [1.0] * n, [0.0] * n, duration=duration, tonic=60, bar=2.0)
    return synthesise(melody, **options)


def spectrum(audio):
    samples = audio.samples[:, 0] * np.hanning(len(audio.samples))
    return np.fft.rfftfreq(len(samples), 1 / audio.sfreq), np.abs(np.fft.rfft(samples))


@timbres
@pytest.mark.parametrize("pitch", [60, 69, 81])
def test_the_spectrum_peaks_at_the_fundamental(timbre, pitch):
    frequency, size = spectrum(play([pitch], [0.0], duration=1.0, held=1.0, timbre=timbre))
    assert frequency[np.argmax(size)] == pytest.approx(440 * 2 ** ((pitch - 69) / 12), abs=1)


@timbres
def test_partials_beyond_nyquist_are_left_out_not_folded(timbre):
    # at 6000 Hz all but two partials of 1046.5 Hz would fold back between the harmonics
    frequency, size = spectrum(play([84], [0.0], duration=1.0, held=1.0, timbre=timbre, sfreq=6000))
    harmonics = 1046.5 * np.arange(1, 3)
    away = np.abs(frequency[:, None] - harmonics).min(axis=1) > 150
    assert size[away].max() < 2e-3 * size.max()


@timbres
def test_sound_starts_when_notes_start(timbre):
    onsets = np.array([0.3, 1.0, 1.9, 2.5])
    audio = play([60, 64, 72, 67], onsets, duration=3.2, timbre=timbre)
    level = np.convolve(audio.samples[:, 0] ** 2, np.ones(110) / 110, mode="same")
    for onset in onsets:
        before, after = (round((onset + shift) * audio.sfreq) for shift in (-0.02, 0.0))
        peak = level[after : after + 6600].max()
        assert level[before - 200 : before].max() < 1e-3 * peak
        rise = np.argmax(level[after - 200 : after + 6600] > 0.25 * peak) - 200
        assert -55 <= rise <= (TIMBRES[timbre].attack + 0.005) * audio.sfreq


@pytest.mark.parametrize("sfreq", [8000, 16000, 44100, 48000.5])
def test_any_rate_gives_the_same_envelope(sfreq):
    melody = MelodyGrammar(rhythm="free").sample(duration=8, rng=0)
    reference = envelope(synthesise(melody, timbre="flute", sfreq=22050)).values[:510, 0]
    other = envelope(synthesise(melody, timbre="flute", sfreq=sfreq)).values[:510, 0]
    assert np.abs(other - reference).max() < 0.02 * reference.max()


def test_level_is_proportional_to_velocity():
    audio = play([67, 67, 67], [0.0, 1.0, 2.0], duration=3.0, velocities=[100, 50, 25])
    seconds = audio.samples[: 3 * 22050, 0].reshape(3, 22050)
    np.testing.assert_allclose(seconds[0, :11025], 2 * seconds[1, :11025], atol=1e-6)
    np.testing.assert_allclose(seconds[1, :11025], 2 * seconds[2, :11025], atol=1e-6)


@timbres
def test_nothing_clicks(timbre):
    # a click has energy at all frequencies; the highest partial here is at 11 kHz, and silence surrounds the sound
    audio = play([60, 67, 79], [0.0, 0.5, 1.0], duration=1.2, timbre=timbre, sfreq=96000)
    power = np.abs(np.fft.rfft(audio.samples[:, 0], 2 * len(audio.samples))) ** 2
    frequency = np.fft.rfftfreq(2 * len(audio.samples), 1 / 96000)
    assert power[frequency > 15000].sum() < 1e-10 * power.sum()


@timbres
def test_notes_are_let_go(timbre):
    audio = play([64], [0.0], duration=2.0, held=0.5, timbre=timbre)
    assert np.abs(audio.samples[round(0.62 * 22050) :]).max() == 0
    assert np.abs(audio.samples[round(0.51 * 22050) : round(0.52 * 22050)]).max() > 0.01


@timbres
@pytest.mark.parametrize("second_voice", [False, True])
def test_one_loudness_and_no_clipping(timbre, second_voice):
    melody = MelodyGrammar().sample(duration=10, rng=1)
    audio = synthesise(melody, timbre=timbre, second_voice=second_voice, name="tune")
    assert len(audio.samples) == 220500 and audio.name == "tune"
    assert np.sqrt(np.mean(audio.samples**2)) == pytest.approx(0.1, rel=0.03)
    assert np.abs(audio.samples).max() < 0.96


def test_silence_between_notes_does_not_make_them_louder():
    dense, sparse = (play([64, 64], [0.0, 1.0], duration=d, held=0.9) for d in (2.0, 20.0))
    np.testing.assert_allclose(dense.samples[:20000], sparse.samples[:20000], atol=1e-6)


def test_the_second_voice_adds_a_bass_an_octave_below_the_tonic():
    melody = MelodyGrammar(tonic=60).sample(duration=1.6, rng=1)
    bass = 440 * 2 ** ((48 - 69) / 12)
    shares = []
    for second_voice in (False, True):
        frequency, size = spectrum(synthesise(melody, timbre="flute", second_voice=second_voice))
        shares.append(np.sum(size[np.abs(frequency - bass) < 5] ** 2) / np.sum(size**2))
    assert shares[0] < 1e-3 < 0.1 < shares[1]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: synthesise(m, timbre="pianos"), ValueError, "Did you mean 'piano'"),
        (lambda m: synthesise(m, sfreq=1000), ValueError, "cannot hold the highest note"),
        (lambda m: synthesise(m, sfreq=-1), ValueError, "sfreq: expected a finite positive"),
        (lambda m: synthesise(m.pitches), TypeError, "melody: expected a Melody, got ndarray"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call(MelodyGrammar().sample(duration=4, rng=0))
