"""Distances between sounds: closed forms, an independent transform, and what they do not hear."""

import numpy as np
import pytest
from scipy.signal import chirp, stft

from eegic import Audio
from eegic.perceptual import WINDOWS, multires_stft, si_sdr


def orthonormal(rng, n=1000, k=2):
    """Signals of norm 1, each orthogonal to the others; their means are not 0."""
    return np.linalg.qr(rng.standard_normal((n, k)) + 0.3)[0].T


def by_scipy(reference, estimate, windows=WINDOWS, floor_db=60):
    """The formula, on the transform of scipy."""
    distances = []
    for window in windows:
        s, e = (abs(stft(x, nperseg=window, noverlap=window - window // 4)[2]) for x in (reference, estimate))
        floor = 10 ** (-floor_db / 20) * s.max()
        logs = np.log(np.maximum(s, floor)) - np.log(np.maximum(e, floor))
        distances.append(np.linalg.norm(s - e) / np.linalg.norm(s) + np.abs(logs).mean())
    return np.mean(distances)


class TestSiSdr:
    @pytest.mark.parametrize("db", [-60.0, -3.0, 0.0, 12.5, 90.0])
    @pytest.mark.parametrize("gain", [1.0, -1.0, 0.037, 800.0])
    def test_of_orthogonal_signals_it_is_the_ratio_of_their_powers(self, rng, db, gain):
        signal, noise = orthonormal(rng)
        assert si_sdr(3 * signal, gain * (signal + 10 ** (-db / 20) * noise)) == pytest.approx(db, abs=1e-9)

    def test_equals_the_formula(self, rng):
        s, e = rng.standard_normal((2, 999)) @ np.diag(np.linspace(1, 3, 999)) + 0.5
        e += 2 * s
        target = e @ s / (s @ s) * s
        assert si_sdr(s, e) == pytest.approx(10 * np.log10(target @ target / ((e - target) @ (e - target))), rel=1e-12)

    def test_an_offset_counts_as_sound(self, rng):
        """The mean is not removed: an offset orthogonal to the signal is noise like any other."""
        signal = rng.standard_normal(1000)
        signal -= signal.mean()
        offset = np.full(1000, signal.std() / 10)
        assert si_sdr(signal, signal + offset) == pytest.approx(20, abs=1e-9)

    @pytest.mark.parametrize("size", [1.0, 1e-300, 1e150])
    def test_what_is_exact_is_infinite(self, rng, size):
        signal, other = size * orthonormal(rng, 100_000)
        assert si_sdr(signal, -np.pi * signal) == np.inf
        assert si_sdr(signal, np.zeros(100_000)) == -np.inf
        assert si_sdr(signal, other) == -np.inf
        assert si_sdr(signal, signal + 1e-12 * other) == pytest.approx(240, abs=0.01)

    def test_sounds_are_their_samples(self, rng):
        samples = rng.uniform(-1, 1, (2, 4000)).astype(np.float32)
        sounds = [Audio(x, 8000) for x in samples]
        assert si_sdr(*sounds) == si_sdr(*samples) == si_sdr(sounds[0], samples[1])
        assert multires_stft(*sounds) == multires_stft(*samples)


class TestMultiresStft:
    @pytest.mark.parametrize("n", [2048, 5000, 5001, 150_000])
    def test_equals_the_formula_on_another_transform(self, rng, n):
        """Of sounds that fade in, so that many magnitudes lie below the floor; the longest takes several blocks."""
        reference = np.linspace(0, 1, n) ** 9 * chirp(np.arange(n) / 8000, 100, n / 8000, 3000)
        estimate = 0.7 * reference + 1e-3 * rng.standard_normal(n)
        assert multires_stft(reference, estimate) == pytest.approx(by_scipy(reference, estimate), rel=1e-10)
        windows = (64, 100, 1024)
        distance = multires_stft(reference, estimate, windows=windows)
        assert distance == pytest.approx(by_scipy(reference, estimate, windows), rel=1e-10)
        distance = multires_stft(reference, estimate, floor_db=35)
        assert distance == pytest.approx(by_scipy(reference, estimate, floor_db=35), rel=1e-10)

    def test_is_zero_for_equal_sounds_and_for_the_other_polarity(self, rng):
        x = rng.standard_normal(6000)
        assert multires_stft(x, x) == multires_stft(x, -x) == 0

    @pytest.mark.parametrize("gain", [0.2, 0.9, 1.5])
    def test_of_a_gain(self, rng, gain):
        """No magnitude of this noise lies below the floor in a share that matters: |1 - g| + |ln g|."""
        x = rng.standard_normal(20_000)
        assert multires_stft(x, gain * x) == pytest.approx(abs(1 - gain) + abs(np.log(gain)), rel=2e-3)

    def test_a_common_gain_changes_nothing(self, rng):
        x, y = rng.standard_normal((2, 6000))
        assert multires_stft(1e-200 * x, 1e-200 * y) == pytest.approx(multires_stft(x, y), rel=1e-10)

    def test_silence_is_finitely_far(self, rng):
        """All is missing (1), and magnitudes are at most 60 dB, or ln 1000, above the floor."""
        x = rng.standard_normal(6000)
        assert 1 + 0.5 * np.log(1e3) < multires_stft(x, np.zeros(6000)) < 1 + np.log(1e3)

    def test_what_lies_below_the_floor_is_not_heard(self, rng):
        """A second of silence, exact or with noise of -120 dB, is the same; a deeper floor hears the noise."""
        x = np.concatenate([np.sin(np.arange(8000) / 9), np.zeros(8000)])
        hiss = 1e-6 * rng.standard_normal(16_000)
        assert multires_stft(x, x + hiss) < 1e-4
        assert multires_stft(x, x + hiss, floor_db=140) > 0.1
        assert multires_stft(x, x + 1e5 * hiss) > 0.5

    def test_the_deepest_floor_hears_all_and_stays_finite(self, rng):
        x = np.concatenate([np.sin(np.arange(8000) / 9), np.zeros(8000)])
        hiss = 1e-6 * rng.standard_normal(16_000)
        assert multires_stft(x, x + hiss, floor_db=140) < multires_stft(x, x + hiss, floor_db=300) < np.inf
        for floor_db in (300.1, 7000):
            with pytest.raises(ValueError, match=f"floor_db: expected at most 300 decibels, got {floor_db:g}"):
                multires_stft(x, x + hiss, floor_db=floor_db)

    def test_more_noise_is_farther(self, rng):
        x, noise = rng.standard_normal((2, 6000))
        distances = [multires_stft(x, x + level * noise) for level in (0.01, 0.1, 1, 10)]
        assert distances == sorted(distances)
        assert distances[0] < 0.05

    @pytest.mark.parametrize("at", [slice(0, 8), slice(-8, None)])
    def test_the_ends_count(self, rng, at):
        x = rng.standard_normal(5003)
        y = x.copy()
        y[at] += 10
        assert multires_stft(x, y) > 0.01


@pytest.mark.parametrize("score", [si_sdr, multires_stft])
class TestRefusals:
    def test_what_cannot_be_compared(self, score):
        x = np.sin(np.arange(3000) / 9)
        with pytest.raises(ValueError, match="estimate: expected as many samples as the reference has, 3000, got 2999"):
            score(x, x[1:])
        with pytest.raises(ValueError, match="estimate: expected the rate of the reference, 8000 Hz, got 7999 Hz"):
            score(Audio(x, 8000), Audio(x, 7999))
        with pytest.raises(ValueError, match="reference: expected a sound, got silence"):
            score(0 * x, x)
        with pytest.raises(ValueError, match=r"estimate: expected one channel, got 2 \(duet\). Average them"):
            score(Audio(x, 8000), Audio(np.stack([x, x], 1), 8000, "duet"))

    def test_what_is_no_sound(self, score):
        x = np.sin(np.arange(3000) / 9)
        with pytest.raises(ValueError, match=r"estimate: expected an array \(n_samples,\), got shape \(3000, 1\)"):
            score(x, x[:, None])
        with pytest.raises(ValueError, match="estimate: sample 7 is not finite"):
            score(x, np.where(np.arange(3000) == 7, np.nan, x))
        with pytest.raises(ValueError, match="reference: expected at least one sample, got none"):
            score(np.zeros(0), np.zeros(0))
        with pytest.raises(TypeError, match="estimate: expected floating-point numbers, got dtype int16. Divide by"):
            score(x, (100 * x).astype(np.int16))


@pytest.mark.parametrize(
    ("windows", "error", "message"),
    [
        (
            (256, 4096),
            ValueError,
            r"none longer than the sound \(3000 samples\), got 4096. Give more sound, or shorter",
        ),
        ((256, 102), ValueError, "multiples of 4 samples, got 102"),
        ((), ValueError, "multiples of 4 samples, got none"),
        ((0,), ValueError, "expected at least 4, got 0"),
        (512, TypeError, r"several lengths in samples, such as \(256, 512, 1024, 2048\), got 512"),
    ],
)
def test_windows_that_are_refused(windows, error, message):
    x = np.sin(np.arange(3000) / 9)
    with pytest.raises(error, match=f"windows: .*{message}"):
        multires_stft(x, x, windows=windows)
