"""From sound to acoustic features over time."""

from __future__ import annotations

import numpy as np

from eegic import _checks
from eegic.audio import Audio, resampled
from eegic.series import FeatureSeries


def envelope(audio: Audio, sfreq: float = 64.0) -> FeatureSeries:
    """Broadband envelope: magnitude of the analytic signal, low-passed and sampled at the rate of the EEG.

    Parameters
    ----------
    audio : Audio
        The sound; its channels are averaged.
    sfreq : float
        Rate of the envelope in hertz.

    Returns
    -------
    FeatureSeries
        One feature, ``envelope``, in units of full scale, never negative; value k belongs to second k/sfreq, and the
        series covers the sound to within a sample.

    Notes
    -----
    The low-pass is the linear-phase anti-aliasing filter of the resampling, corrected for its delay, so a peak of the
    envelope stays where the sound has it. It is not causal: some milliseconds of the future enter each value. Before
    and after the sound it takes silence, so the first and last tens of milliseconds of a sound that starts or stops at
    once are not to be trusted.

    Examples
    --------
    >>> beep = Audio(np.concatenate([np.zeros(8000), 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)]), 8000)
    >>> envelope(beep, 64).select("envelope").values[[16, 96], 0].round(2)
    array([0. , 0.5])
    """
    from scipy.fft import next_fast_len
    from scipy.signal import hilbert

    if not isinstance(audio, Audio):
        raise TypeError(
            f"audio: expected an Audio, got {type(audio).__name__}. read_audio(path) reads one; "
            "Audio(samples, sfreq) makes one of samples."
        )
    sfreq = _checks.positive("sfreq", sfreq, "hertz")
    if sfreq > audio.sfreq / 2:
        raise ValueError(f"sfreq: {sfreq:g} Hz is more than half the rate of the sound ({audio.sfreq:g} Hz). Lower it.")
    mono = audio.mono()
    magnitude = np.abs(hilbert(mono, next_fast_len(2 * len(mono)))[: len(mono)])
    sampled = np.maximum(resampled(magnitude, audio.sfreq, sfreq, audio.name), 0)
    return FeatureSeries(sampled, np.arange(len(sampled)) / sfreq, "envelope")
