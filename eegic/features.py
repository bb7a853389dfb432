"""From sound to acoustic features over time.

All features average the channels of the sound, take any rate of the EEG, and have value k belong to second k/sfreq:
those of one sound at one rate have the same times, so they stack. Before and after the sound they take silence, so the
first and last tens of milliseconds of a sound that starts or stops at once are not to be trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil
from typing import Any

import numpy as np

from eegic import _checks
from eegic.audio import Audio, resampled
from eegic.series import FeatureSeries

_Filters = Callable[[int], Iterator[tuple[int, np.ndarray]]]  # see _over_hops

_KINDS = {"hilbert": "envelope", "gammatone": "gammatone envelope"}
_BANDS, _FMIN, _FMAX, _COMPRESSION = 28, 50.0, 5000.0, 0.6  # Biesmans et al. (2017)
_HEARING = 20.0  # hertz; what is slower is no sound
_REACH = 10.0  # bandwidths from the centre to where a band ends: 80 dB down
_OVERLAP = 0.5  # seconds; the slowest band has died away long before
_BLOCK = 20.0  # seconds of sound that are filtered at once
_SLOWEST = 64.0  # hertz; at lower rates the low-pass within a block would outlast the overlap
_SMOOTHING = 0.02  # seconds over which the level of a band is taken, for onsets


def envelope(audio: Audio, sfreq: float = 64.0, *, kind: str = "hilbert") -> FeatureSeries:
    """Envelope of the sound, low-passed and sampled at the rate of the EEG.

    Parameters
    ----------
    audio : Audio
        The sound; its channels are averaged.
    sfreq : float
        Rate of the envelope in hertz.
    kind : {"hilbert", "gammatone"}
        ``hilbert``: the magnitude of the broadband analytic signal, of what lies above 20 Hz. ``gammatone``: the sum of
        the 28 bands of `gammatone_spectrogram`, from 50 to 5000 Hz, each raised to the power 0.6 [1]_, which is closer
        to loudness; the sound needs a rate above 10 kHz.

    Returns
    -------
    FeatureSeries
        One feature, never negative; value k belongs to second k/sfreq, and the series covers the sound to within a
        sample. ``envelope`` is in units of full scale and doubles with the sound; ``gammatone envelope`` is in such
        units to the power 0.6, and grows by 2 ** 0.6.

    Notes
    -----
    The low-pass is the linear-phase anti-aliasing filter of the resampling, corrected for its delay, so a peak of the
    envelope stays where the sound has it. It is not causal: some milliseconds of the future enter each value. Before
    and after the sound it takes silence, so the first and last tens of milliseconds of a sound that starts or stops at
    once are not to be trusted.

    References
    ----------
    .. [1] Biesmans, Das, Francart & Bertrand (2017), Auditory-inspired speech envelope extraction methods for improved
       EEG-based auditory attention detection in a cocktail party scenario. IEEE Transactions on Neural Systems and
       Rehabilitation Engineering 25, 402-412.

    Examples
    --------
    >>> beep = Audio(np.concatenate([np.zeros(8000), 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)]), 8000)
    >>> envelope(beep, 64).select("envelope").values[[16, 96], 0].round(2)
    array([0. , 0.5])
    """
    sfreq = _rate(audio, sfreq)
    name = _KINDS[_checks.one_of("kind", kind, _KINDS)]
    if kind == "gammatone":
        bands = gammatone_spectrogram(audio, sfreq)
        return FeatureSeries(bands.values.sum(axis=1), bands.times, name)
    return _series(_sampled(audio, sfreq, _broadband(audio.sfreq), 1.0), sfreq, [name])


def envelope_derivative(audio: Audio, sfreq: float = 64.0, *, kind: str = "hilbert") -> FeatureSeries:
    """How fast the envelope rises: its derivative where it is positive, and 0 where the envelope falls.

    Parameters
    ----------
    audio : Audio
        The sound; its channels are averaged.
    sfreq : float
        Rate of the feature in hertz.
    kind : {"hilbert", "gammatone"}
        The envelope, as in `envelope`.

    Returns
    -------
    FeatureSeries
        One feature, named after the envelope, in its units per second.

    Notes
    -----
    The difference of the two neighbours of a sample over the time between them, so nothing is delayed; it understates
    changes faster than about sfreq/8. A peak of it stands where the sound rises, before the peak of the envelope.

    Examples
    --------
    >>> beep = Audio(np.concatenate([np.zeros(8000), 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)]), 8000)
    >>> rising = envelope_derivative(beep, 64)
    >>> float(rising.times[rising.values[:, 0].argmax()])
    1.0
    """
    one = envelope(audio, sfreq, kind=kind)
    around = np.pad(one.values[:, 0], 1)  # silence before and after
    slope = (around[2:] - around[:-2]) * sfreq / 2
    return FeatureSeries(np.maximum(slope, 0), one.times, f"{one.names[0]} derivative")


def gammatone_spectrogram(
    audio: Audio,
    sfreq: float = 64.0,
    *,
    n_bands: int = _BANDS,
    fmin: float = _FMIN,
    fmax: float = _FMAX,
    compression: float = _COMPRESSION,
) -> FeatureSeries:
    """Envelopes of the bands of a gammatone filter bank, a coarse model of the cochlea.

    Parameters
    ----------
    audio : Audio
        The sound; its channels are averaged.
    sfreq : float
        Rate of the envelopes in hertz.
    n_bands : int
        Number of bands, at least 2.
    fmin, fmax : float
        Centre frequencies of the lowest and the highest band, in hertz; the others lie between at equal distances on
        the ERB-number scale [2]_.
    compression : float
        Power to which each envelope is raised, above 0 and at most 1 (1: no compression).

    Returns
    -------
    FeatureSeries
        One feature per band, never negative, named after its centre, e.g. ``gammatone 440 Hz``; in units of full scale
        to the power `compression`. A tone at the centre of a band has there an envelope of its amplitude.

    Notes
    -----
    The bands have the magnitude response of gammatone filters of order 4 [1]_, whose bandwidth is 1.019 times the
    equivalent rectangular bandwidth of hearing, 24.7 Hz + f/9.265 [2]_, and no phase, so all bands stand where the
    sound has them instead of being late by up to 20 ms. They are not causal: a band hears its future for some
    milliseconds (at 50 Hz, for 50 ms). A band ends 10 bandwidths from its centre, 80 dB down, and all fade below 20 Hz.
    The envelope is compressed before it is low-passed.

    References
    ----------
    .. [1] Patterson, Nimmo-Smith, Holdsworth & Rice (1987), An efficient auditory filterbank based on the gammatone
       function. APU Report 2341, MRC Applied Psychology Unit.
    .. [2] Glasberg & Moore (1990), Derivation of auditory filter shapes from notched-noise data. Hearing Research 47,
       103-138.

    Examples
    --------
    >>> tone = Audio(0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000), 8000)
    >>> bands = gammatone_spectrogram(tone, 64, n_bands=3, fmin=440, fmax=1760, compression=1)
    >>> bands.names
    ('gammatone 440 Hz', 'gammatone 924.5 Hz', 'gammatone 1760 Hz')
    >>> bands.values[32].round(2)
    array([0.5, 0. , 0. ])
    """
    sfreq = _rate(audio, sfreq)
    centres, filters = _gammatone_bands(audio.sfreq, audio.name, n_bands, fmin, fmax)
    if not 0 < _checks.finite("compression", compression, "no unit") <= 1:
        raise ValueError(f"compression: expected a power above 0 and at most 1, got {compression:g}.")
    names = [f"gammatone {centre:.4g} Hz" for centre in centres]
    return _series(_sampled(audio, sfreq, filters, compression), sfreq, names)


def onset_strength(
    audio: Audio,
    sfreq: float = 64.0,
    *,
    n_bands: int = _BANDS,
    fmin: float = _FMIN,
    fmax: float = _FMAX,
    floor_db: float = -60.0,
) -> FeatureSeries:
    """How fast bands of the sound get louder: half-wave-rectified flux of the log spectrum.

    Parameters
    ----------
    audio : Audio
        The sound; its channels are averaged.
    sfreq : float
        Rate of the feature in hertz.
    n_bands, fmin, fmax
        The bands, as in `gammatone_spectrogram`.
    floor_db : float
        Level of silence, in decibels relative to the standard deviation of the whole sound; a rise below it
        counts little.

    Returns
    -------
    FeatureSeries
        One feature, ``onset strength``: the rise of the level of the bands (a fall counts as 0), mean over bands, in
        decibels per second. A louder copy of a sound has the same onset strength, and silence has none.

    Notes
    -----
    The level of a band is that of its mean power over the last 20 ms, and the bands are those of causal gammatone
    filters. So the rise at an onset is steepest at once, and the peak of the onset strength stands where the sound
    begins, to half a sample and 0.2 ms. Value k gathers the rises under a Hann window from second (k - 1)/sfreq to
    (k + 1)/sfreq; of the future beyond, less than a percent enters. The sum over time, divided by sfreq, is the rise in
    decibels. A sound that is cut off ends with a click, and a click is an onset. Copies of a sound at other rates
    differ by one or two percent, for the 20 ms are whole numbers of short steps.

    Examples
    --------
    >>> beep = Audio(np.concatenate([np.zeros(8000), 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)]), 8000)
    >>> onsets = onset_strength(beep, 64, fmax=3000)
    >>> float(onsets.times[onsets.values[:, 0].argmax()])
    1.0
    """
    sfreq = _rate(audio, sfreq)
    _, filters = _gammatone_bands(audio.sfreq, audio.name, n_bands, fmin, fmax, causal=True)
    floor_db = _checks.finite("floor_db", floor_db, "decibels")
    mono = audio.mono()
    silence = np.var(mono) * 10 ** (floor_db / 10)
    hop = _hop(audio.sfreq, max(4 * sfreq, 16 / _SMOOTHING))
    power = _over_hops(mono, audio.sfreq, hop, filters, _hop_power)
    window = max(1, round(_SMOOTHING * audio.sfreq / hop))
    rise = _rise(power, window, silence) if silence else np.zeros(len(power))
    times = (np.arange(len(rise)) + 0.5) * hop / audio.sfreq
    return _series(sfreq * _gathered(rise, times * sfreq, _n_times(audio, sfreq))[:, None], sfreq, ["onset strength"])


def _sampled(audio: Audio, sfreq: float, filters: _Filters, compression: float) -> np.ndarray:
    """Compressed envelopes of the bands at `sfreq` hertz, low-passed twice: within blocks, and at the last rate."""
    hop = _hop(audio.sfreq, max(8 * sfreq, _SLOWEST))
    passed = sfreq * hop / audio.sfreq
    compressed = _over_hops(
        audio.mono(), audio.sfreq, hop, filters, lambda band, n: _low_passed(band**compression, n, passed)
    )
    return _on_grid(compressed, audio, hop, sfreq)


def _gammatone_bands(
    sfreq: float, name: str, n_bands: int, fmin: float, fmax: float, *, causal: bool = False
) -> tuple[np.ndarray, _Filters]:
    """Centres in hertz, and filters with the phase of gammatone filters (`causal`) or none."""
    n_bands = _checks.count("n_bands", n_bands, minimum=2)
    fmin, fmax = _checks.positive("fmin", fmin, "hertz"), _checks.positive("fmax", fmax, "hertz")
    if not _HEARING <= fmin < fmax:
        raise ValueError(
            f"fmin, fmax: expected {_HEARING:g} Hz or more, and fmin below fmax, got {fmin:g} and {fmax:g} Hz."
        )
    if fmax >= sfreq / 2:
        raise ValueError(
            f"fmax: {fmax:g} Hz is not below half the rate of {name} ({sfreq / 2:g} Hz), so its highest bands would be "
            "empty. Give a lower fmax; for an envelope, sum the bands of `gammatone_spectrogram(audio, fmax=...)`."
        )
    low, high = 21.4 * np.log10(1 + 0.00437 * np.array([fmin, fmax]))  # ERB numbers
    centres = (10 ** (np.linspace(low, high, n_bands) / 21.4) - 1) / 0.00437

    def filters(n: int) -> Iterator[tuple[int, np.ndarray]]:
        for centre in centres:
            bandwidth = 1.019 * (24.7 + centre / 9.265)
            lowest = max(1, ceil((centre - _REACH * bandwidth) * n / sfreq))
            highest = min((n - 1) // 2, int((centre + _REACH * bandwidth) * n / sfreq))
            frequency = np.arange(lowest, highest + 1) * sfreq / n
            distance = (frequency - centre) / bandwidth
            end = (1 + _REACH**2) ** -2
            gain = ((1 + distance**2) ** -2 - end) / (1 - end)  # a step at the end of a band would ring
            gain *= _audible(frequency, sfreq) / _audible(centre, sfreq)
            yield lowest, gain * np.exp(-4j * np.arctan(distance)) if causal else gain

    return centres, filters


def _broadband(sfreq: float) -> _Filters:
    """One band from the lowest tone to half the rate."""

    def filters(n: int) -> Iterator[tuple[int, np.ndarray]]:
        yield 1, _audible(np.arange(1, (n + 1) // 2) * sfreq / n, sfreq)

    return filters


def _audible(frequency: Any, sfreq: float) -> Any:
    """Gain that fades smoothly towards 0 Hz and half the rate; steps there would ring from block to block."""
    top = min(_HEARING, 0.01 * sfreq)
    return (1 - np.exp(-((frequency / _HEARING) ** 2))) * (1 - np.exp(-(((sfreq / 2 - frequency) / top) ** 2)))


def _over_hops(
    mono: np.ndarray, sfreq: float, hop: int, filters: _Filters, reduce: Callable[[np.ndarray, int], np.ndarray]
) -> np.ndarray:
    """Filter a sound in overlapping blocks, and reduce each band's envelope to one value per hop.

    Parameters
    ----------
    hop : int
        Samples from one value to the next.
    filters : callable
        For a spectrum of n samples gives each band's lowest bin, and its gains from there on.
    reduce : callable
        From an envelope, and the number of values that it is to become, to these values.

    Returns
    -------
    ndarray of shape (ceil(n_samples / hop), n_bands)
    """
    from scipy.fft import rfft

    n_hops = ceil(len(mono) / hop)
    margin = ceil(_OVERLAP * sfreq / hop)
    block = min(n_hops, ceil(_BLOCK * sfreq / hop))
    size = _fast(block + 2 * margin)
    bands = list(filters(size * hop))
    values = np.empty((n_hops, len(bands)))
    for first in range(0, n_hops, block):
        spectrum = 2 * rfft(_stretch(mono, (first - margin) * hop, size * hop))  # half lies at negative frequencies
        kept = slice(margin, margin + min(block, n_hops - first))
        for band, (lowest, gain) in enumerate(bands):
            magnitude = _magnitude(spectrum[lowest : lowest + len(gain)] * gain, size, size * hop)
            values[first : first + block, band] = reduce(magnitude, size)[kept]
    return values


def _magnitude(spectrum: np.ndarray, multiple_of: int, n: int) -> np.ndarray:
    """Envelope of a band of the spectrum of `n` samples, at the lowest fast rate that holds it twice over."""
    from scipy.fft import ifft

    size = multiple_of * _fast(ceil(2 * len(spectrum) / multiple_of))
    return np.asarray(np.abs(ifft(spectrum, size)) * (size / n))


def _low_passed(signal: np.ndarray, n_out: int, passed: float) -> np.ndarray:
    """`signal` at `n_out` samples; its spectrum is whole up to half of `passed` (cycles per sample), then fades."""
    from scipy.fft import irfft, rfft

    spectrum = rfft(signal)[: n_out // 2 + 1]
    cycles = np.arange(len(spectrum)) / n_out
    fade = np.clip((cycles - passed / 2) / (0.5 - passed / 2), 0, 1)
    return np.asarray(irfft(spectrum * np.cos(np.pi / 2 * fade) ** 2, n_out) * (n_out / len(signal)))


def _hop_power(magnitude: np.ndarray, n_hops: int) -> np.ndarray:
    """Mean square of each hop."""
    return np.asarray(np.mean(magnitude.reshape(n_hops, -1) ** 2, axis=1))


def _rise(power: np.ndarray, window: int, silence: float) -> np.ndarray:
    """Rise of the level over the last `window` hops, mean over bands, in decibels; shape (n_hops,)."""
    total = np.cumsum(np.pad(power, ((window + 1, 0), (0, 0))), axis=0)
    level = 10 * np.log10(np.maximum(total[window:] - total[:-window], 0) / window + silence)
    return np.asarray(np.maximum(np.diff(level, axis=0), 0).mean(axis=1))


def _gathered(amounts: np.ndarray, places: np.ndarray, n_times: int) -> np.ndarray:
    """Share each amount between the samples on its two sides; shape (n_times,).

    The nearer one has the larger part, so that all parts of a sample are under a Hann window two samples long: it does
    not ring, and the sum is conserved (but for what lies beyond the last sample).
    """
    below = np.floor(places).astype(int)
    late = np.sin(np.pi / 2 * (places - below)) ** 2
    both = np.bincount(np.concatenate([below, below + 1]), np.concatenate([(1 - late) * amounts, late * amounts]))
    return np.pad(both, (0, max(0, n_times - len(both))))[:n_times]


def _n_times(audio: Audio, sfreq: float) -> int:
    return int(len(audio.samples) * sfreq / audio.sfreq + 0.5)


def _on_grid(values: np.ndarray, audio: Audio, hop: int, sfreq: float) -> np.ndarray:
    """Values at every `hop` samples of the sound, at `sfreq` hertz instead."""
    ahead = np.pad(values, ((0, ceil(audio.sfreq / sfreq / hop) + 1), (0, 0)))  # the last sample may lie past the end
    return resampled(ahead, audio.sfreq / hop, sfreq, audio.name)[: _n_times(audio, sfreq)]


def _series(values: np.ndarray, sfreq: float, names: list[str]) -> FeatureSeries:
    """Series of what cannot be negative; the filter of the resampling rings beside a sharp onset."""
    return FeatureSeries(np.maximum(values, 0), np.arange(len(values)) / sfreq, names)


def _hop(audio_rate: float, at_least: float) -> int:
    """Number of samples between values at `at_least` hertz or somewhat more; it has small factors."""
    hop = max(1, int(audio_rate / at_least))
    while _fast(hop) != hop:
        hop -= 1
    return hop


def _fast(n: int) -> int:
    from scipy.fft import next_fast_len

    return int(next_fast_len(n))


def _stretch(mono: np.ndarray, first: int, n: int) -> np.ndarray:
    """Samples `first` to ``first + n``, zeros where there is no sound."""
    stretch = np.zeros(n)
    start, stop = max(first, 0), min(first + n, len(mono))
    stretch[start - first : stop - first] = mono[start:stop]
    return stretch


def _rate(audio: Audio, sfreq: float) -> float:
    if not isinstance(audio, Audio):
        raise TypeError(
            f"audio: expected an Audio, got {type(audio).__name__}. read_audio(path) reads one; "
            "Audio(samples, sfreq) makes one of samples."
        )
    sfreq = _checks.positive("sfreq", sfreq, "hertz")
    if sfreq > audio.sfreq / 2:
        raise ValueError(f"sfreq: {sfreq:g} Hz is more than half the rate of the sound ({audio.sfreq:g} Hz). Lower it.")
    if audio.duration * sfreq < 0.5:
        raise ValueError(f"{audio.name}: {audio.duration:.2g} s hold no sample at {sfreq:g} Hz. Give more sound.")
    return sfreq
