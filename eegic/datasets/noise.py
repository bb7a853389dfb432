"""What the EEG does whatever is heard: background rhythms, slow drift and blinks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from eegic.datasets import scalp

BAND = (0.5, 15.0)  # hertz; power falls steeply outside
EXPONENT = 1.0  # power of the background goes with 1/f**EXPONENT
ALPHA_SHARE = 0.2  # of the variance, mean over channels
BLINK = 100e-6  # volts at the forehead
_ALPHA_WIDTH = 1.0  # hertz
_ALPHA_SOURCES = ((-0.5, -0.8, 0.3), (0.0, -1.0, 0.4), (0.5, -0.8, 0.3))  # back of the head
_ALPHA_WIDE = 0.8  # radians
_SMOOTH = 0.5  # radians; how far neighbouring electrodes share the background
_OWN = 0.3  # weight of what an electrode shares with no other
_BLINK_WIDTH = 0.06  # seconds
_BLINK_CENTRE = (0.0, 1.0, -0.1)


def background(
    rng: np.random.Generator, n_times: int, sfreq: float, directions: np.ndarray, alpha: float
) -> np.ndarray:
    """Return 1/f noise with an alpha peak over the back of the head.

    Parameters
    ----------
    rng : Generator
        Source of the draws.
    n_times : int
        Number of samples.
    sfreq : float
        Sampling rate in hertz.
    directions : ndarray, shape (n_channels, 3)
        Unit vectors to the electrodes.
    alpha : float
        Frequency of the alpha peak in hertz.

    Returns
    -------
    ndarray, shape (n_times, n_channels)
        The expected variance, averaged over channels, is 1.
    """
    mixing = scalp.smoothing(directions, _SMOOTH) + _OWN * np.eye(len(directions))
    mixing /= np.linalg.norm(mixing, axis=0)
    sources = np.stack([scalp.bump(directions, centre, _ALPHA_WIDE) for centre in _ALPHA_SOURCES])
    sources /= np.sqrt((sources**2).sum(axis=0).mean())
    broad = _coloured(rng, n_times, len(directions), sfreq, _one_over_f) @ mixing
    rhythm = _coloured(rng, n_times, len(sources), sfreq, lambda f: np.exp(-0.5 * ((f - alpha) / _ALPHA_WIDTH) ** 2))
    return np.asarray(np.sqrt(1 - ALPHA_SHARE) * broad + np.sqrt(ALPHA_SHARE) * rhythm @ sources)


def drift(rng: np.random.Generator, n_times: int, directions: np.ndarray) -> np.ndarray:
    """Return random walks, smooth over the scalp, of expected variance 1 about their mean, (n_times, n_channels)."""
    mixing = scalp.smoothing(directions, _SMOOTH)
    mixing /= np.linalg.norm(mixing, axis=0)
    walk = np.cumsum(rng.standard_normal((n_times, len(directions))), axis=0)
    # a Brownian path on [0, 1] has variance 1/6 about its mean
    return np.asarray(walk * np.sqrt(6 / n_times) @ mixing)


def blinks(
    rng: np.random.Generator, n_times: int, sfreq: float, directions: np.ndarray, per_minute: float
) -> np.ndarray:
    """Return blinks at random times: positive, largest at the forehead, in volts, shape (n_times, n_channels)."""
    duration = n_times / sfreq
    centres = rng.uniform(0, duration, rng.poisson(per_minute * duration / 60))
    sizes = BLINK * rng.lognormal(0, 0.2, len(centres))
    away = (np.arange(n_times) / sfreq)[:, None] - centres
    course = np.exp(-0.5 * (away / _BLINK_WIDTH) ** 2) @ sizes
    return np.asarray(course[:, None] * scalp.bump(directions, _BLINK_CENTRE, _SMOOTH))


def _coloured(
    rng: np.random.Generator, n_times: int, n_series: int, sfreq: float, power: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Independent Gaussian series of variance 1 with the given power spectrum, shape (n_times, n_series)."""
    from scipy.fft import irfft, next_fast_len

    # drawn longer than needed: a Fourier series returns to its start, EEG does not
    n = next_fast_len(n_times + round(4 * sfreq), real=True)
    frequency = np.arange(1, (n + 1) // 2) * sfreq / n
    amplitude = np.sqrt(power(frequency))
    amplitude *= n / (2 * np.sqrt(np.sum(amplitude**2)))
    spectrum = np.zeros((n // 2 + 1, n_series), complex)
    parts = rng.standard_normal((2, len(frequency), n_series))
    spectrum[1 : len(frequency) + 1] = amplitude[:, None] * (parts[0] + 1j * parts[1])
    return np.asarray(irfft(spectrum, n, axis=0)[:n_times])


def _one_over_f(frequency: np.ndarray) -> np.ndarray:
    low, high = BAND
    edges = (1 + (low / frequency) ** 8) * (1 + (frequency / high) ** 8)
    return np.asarray(frequency**-EXPONENT / edges)
