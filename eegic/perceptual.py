"""How close a reconstructed sound is to the original: two numbers that say different things.

`si_sdr` compares waveforms, and so phases; it does not hear loudness. `multires_stft` compares magnitudes in time and
frequency; it does not hear phases.

Sounds are `Audio` with one channel, or arrays of samples. They are compared sample by sample as they are: no shift,
loudness or rate is adapted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from eegic import _checks
from eegic.audio import Audio

WINDOWS = (256, 512, 1024, 2048)
_DEEPEST_DB = 300.0  # below it, floors of float64 are rounding, and at last 0
_ROUNDING_DB = 280.0  # float64 holds 16 digits: a rounded copy of a sound is 300 dB and more from it
_BLOCK = 256  # frames at a time


def si_sdr(reference: Audio | np.ndarray, estimate: Audio | np.ndarray) -> float:
    """Scale-invariant ratio of signal to distortion, in decibels; higher is better.

    Parameters
    ----------
    reference : Audio or array_like of float, shape (n_samples,)
        The sound that was wanted. It must not be silent.
    estimate : Audio or array_like of float, shape (n_samples,)
        The sound that came, of the same length and (for Audio) at the same rate.

    Returns
    -------
    float
        ``inf`` if `estimate` is `reference` times a number, but for the rounding of float64 (beyond 280 dB). ``-inf``
        if it is silent, or holds nothing of `reference` (below -280 dB).

    Notes
    -----
    With the reference s and the estimate e, ``a = <e, s> / ||s||**2`` is the gain at which s is nearest to e, and the
    ratio is ``10 log10(||a s||**2 / ||e - a s||**2)``. It is the same for e times any number, a negative one too. The
    mean is not removed: an offset counts as sound.

    The measure is strict about time. A delay of a few samples, or other phases, make it low where no ear hears a
    difference. A decoder that draws at random can score near 0 dB and sound right.

    Examples
    --------
    >>> t = np.arange(8000) / 8000
    >>> tone, hum = np.sin(2 * np.pi * 440 * t), np.sin(2 * np.pi * 50 * t)
    >>> round(si_sdr(tone, tone + 0.1 * hum), 6), round(si_sdr(tone, 0.2 * tone + 0.02 * hum), 6)
    (20.0, 20.0)
    >>> si_sdr(tone, -0.3 * tone)
    inf
    """
    wanted, came = _pair(reference, estimate)
    loudest = np.abs(came).max()
    if not loudest:
        return float("-inf")
    wanted, came = wanted / np.abs(wanted).max(), came / loudest  # squares of tiny numbers would be 0
    target = (came @ wanted) / (wanted @ wanted) * wanted
    with np.errstate(divide="ignore"):
        ratio = 20 * (np.log10(np.linalg.norm(target)) - np.log10(np.linalg.norm(came - target)))
    return float(ratio if abs(ratio) <= _ROUNDING_DB else np.copysign(np.inf, ratio))


def multires_stft(
    reference: Audio | np.ndarray,
    estimate: Audio | np.ndarray,
    *,
    windows: Iterable[int] = WINDOWS,
    floor_db: float = 60.0,
) -> float:
    """Distance between the magnitudes of two sounds at several resolutions; 0 for equal ones, lower is better.

    Parameters
    ----------
    reference : Audio or array_like of float, shape (n_samples,)
        The sound that was wanted. It must not be silent, and must be as long as the longest window.
    estimate : Audio or array_like of float, shape (n_samples,)
        The sound that came, of the same length and (for Audio) at the same rate.
    windows : iterable of int
        Lengths of the analysis windows in samples, each a multiple of 4. In seconds they depend on the rate: compare
        values at one rate only.
    floor_db : float
        Above 0 and up to 300. Magnitudes that lie farther than this below the largest one of `reference` count as
        equal to it.

    Returns
    -------
    float
        Without unit. A silent `estimate` scores finitely: 1 for what is missing, and its logarithms at the floor.

    Notes
    -----
    For each window length let S and E be the magnitudes of the short-time Fourier transforms of reference and estimate
    (periodic Hann window, hop of a quarter window, zeros before and after the sound so that its ends count). The
    distance is the mean over window lengths of ::

        ||S - E|| / ||S||  +  mean |ln max(S, floor) - ln max(E, floor)|

    with Frobenius norms, and the mean over all times and frequencies. The first term (spectral convergence) hears the
    loud parts, the second all parts alike. ``floor`` lies `floor_db` below the largest value of S at that window
    length. Without it, times and frequencies in which nothing is heard would decide, and digital silence would be
    infinitely far from faint noise. It is relative so that one gain on both sounds changes nothing. To sparse sounds, a
    few partials in digital silence, a low floor makes silence nearer than a good copy with faint noise: look at the
    distance of silence, too, before comparing codecs.

    Other loudness is a difference: for ``estimate = g * reference`` the distance is about ``|1 - g| + |ln g|``.
    Polarity is not heard, and phases only as far as they change magnitudes.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal(16000)
    >>> multires_stft(noise, noise), round(multires_stft(noise, 0.5 * noise), 3), round(0.5 + float(np.log(2)), 3)
    (0.0, 1.193, 1.193)
    """
    wanted, came = _pair(reference, estimate)
    lengths = _lengths(windows, len(wanted))
    if _checks.positive("floor_db", floor_db, "decibels") > _DEEPEST_DB:
        raise ValueError(
            f"floor_db: expected at most {_DEEPEST_DB:g} decibels, got {floor_db:g}. Below are rounding errors."
        )
    floor = 10 ** (-floor_db / 20)
    scale = np.abs(wanted).max()
    return float(np.mean([_distance(wanted / scale, came / scale, length, floor) for length in lengths]))


def _distance(wanted: np.ndarray, came: np.ndarray, length: int, floor: float) -> float:
    """Spectral convergence plus mean difference of log magnitudes, at one window length."""
    floor *= max(block.max() for block in _magnitudes(wanted, length))
    error = energy = logs = count = 0.0
    for ours, theirs in zip(_magnitudes(wanted, length), _magnitudes(came, length), strict=True):
        error += np.square(ours - theirs).sum()
        energy += np.square(ours).sum()
        logs += np.abs(np.log(np.maximum(ours, floor) / np.maximum(theirs, floor))).sum()
        count += ours.size
    return float(np.sqrt(error / energy) + logs / count)


def _magnitudes(samples: np.ndarray, length: int) -> Iterator[np.ndarray]:
    """Magnitudes of frames, some at a time, each (n_frames, length // 2 + 1); frame k is centred on sample k hop."""
    hop = length // 4
    padded = np.pad(samples, (length // 2, length // 2 + -len(samples) % hop))
    frames = np.lib.stride_tricks.sliding_window_view(padded, length)[::hop]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    for start in range(0, len(frames), _BLOCK):
        yield np.abs(np.fft.rfft(frames[start : start + _BLOCK] * hann))


def _pair(reference: Audio | np.ndarray, estimate: Audio | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Samples of both sounds, or why they cannot be compared."""
    wanted, came = _samples("reference", reference), _samples("estimate", estimate)
    if isinstance(reference, Audio) and isinstance(estimate, Audio) and reference.sfreq != estimate.sfreq:
        raise ValueError(
            f"estimate: expected the rate of the reference, {reference.sfreq:g} Hz, got {estimate.sfreq:g} Hz. "
            "Resample one of them: audio.resample(sfreq)."
        )
    if len(wanted) != len(came):
        raise ValueError(
            f"estimate: expected as many samples as the reference has, {len(wanted)}, got {len(came)}. Cut both to the "
            "stretch that they share."
        )
    if not wanted.any():
        raise ValueError("reference: expected a sound, got silence, to which nothing can be compared. Leave it out.")
    return wanted, came


def _samples(name: str, sound: Audio | np.ndarray) -> np.ndarray:
    given: object = sound
    if isinstance(sound, Audio):
        if sound.samples.shape[1] > 1:
            raise ValueError(
                f"{name}: expected one channel, got {sound.samples.shape[1]} ({sound.name}). Average them, "
                "Audio(audio.mono(), audio.sfreq), or pick one, audio.samples[:, 0]."
            )
        given = sound.samples[:, 0]
    whole = "Divide by the full scale, or make an Audio of them: Audio(samples, sfreq)."
    samples = _checks.real_array(name, given, 1, axes="(n_samples,)", integers=whole)
    if not len(samples):
        raise ValueError(f"{name}: expected at least one sample, got none.")
    if not np.isfinite(samples).all():
        first = int(np.argmax(~np.isfinite(samples)))
        raise ValueError(f"{name}: sample {first} is not finite. Repair the sound first.")
    return samples


def _lengths(windows: object, n_samples: int) -> tuple[int, ...]:
    if not isinstance(windows, Iterable):
        raise TypeError(f"windows: expected several lengths in samples, such as {WINDOWS}, got {windows!r}.")
    lengths = tuple(_checks.count("windows", length, minimum=4) for length in windows)
    odd = [length for length in lengths if length % 4]
    if odd or not lengths:
        raise ValueError(f"windows: expected multiples of 4 samples, got {odd[0] if odd else 'none'}.")
    if max(lengths) > n_samples:
        raise ValueError(
            f"windows: expected none longer than the sound ({n_samples} samples), got {max(lengths)}. Give more sound, "
            "or shorter windows."
        )
    return lengths
