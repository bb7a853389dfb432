"""The clock of a recording from the sound that was recorded beside the EEG."""

from __future__ import annotations

import numpy as np

from eegic import _checks
from eegic.audio import Audio, resampled
from eegic.eeg.clock import Clock, jump, jumped, line_through
from eegic.eeg.interpolation import values_at
from eegic.features import envelope

_FASTEST = 8192  # hertz; above its half there is little music
_LOUDNESS_RATE = 128  # hertz
_PIECE = 60  # seconds of sound looked at in one go
_NEAR = 0.1  # seconds around the line in which the second look searches
_FINE = 64  # steps between samples of loudness in which a peak is looked for
_ALIKE = 0.02  # seconds between alignments that count as one
_RIVAL = 0.8  # share of the best correlation, above which another one is as good
_ADVICE = (
    "Is it this sound, and this channel? Then give a longer stretch, less noise, or the channel at about 2.5 times its "
    "low-pass."
)
_ODD = 0.35  # what the sound itself may not explain of other alignments, as a share of the best correlation


def clock_from_audio(
    channel: object,
    sfreq: float,
    audio: Audio,
    *,
    window: float = 10.0,
    min_r: float = 0.3,
    max_ppm: float = 1000.0,
) -> Clock:
    """Clock from the sound itself, recorded beside the EEG.

    Parameters
    ----------
    channel : array_like, shape (n_times,)
        The sound as the amplifier recorded it, in any unit.
    sfreq : float
        Rate of the recording in hertz, 256 or more.
    audio : Audio
        What was played: one sound, or all sounds and pauses of a session in a row. It may start anywhere in the
        recording, and the recording may hold only a part of it.
    window : float
        Seconds of sound that are compared at a time.
    min_r : float
        Correlation of loudness, 0 to 1, below which a window is not trusted.
    max_ppm : float
        Largest difference between the clocks, in parts per million. A larger one is refused.

    Returns
    -------
    Clock
        Its zero is the start of `audio`.

    Notes
    -----
    Loudness (power of the analytic signal above 20 Hz, sampled at 128 Hz; noise adds to it evenly) of each window of
    sound is correlated with that of the whole recording. One line through the best alignments of all windows wins; then
    every window is looked for near that line, and the clock is drawn through them as in `clock_from_triggers`. Loudness
    is that of what the channel can hold of the sound, or of all of it, whichever is more alike, for amplifiers filter
    differently. There is an error if windows do not resemble the recording, or if another alignment is almost as good:
    with another sound of the same tempo, or one that repeats itself. A recording that lost samples is refused as in
    `clock_from_triggers`, with three windows on either side; where more than 0.1 s is missing, two do.

    Five minutes of music give the rate to some ppm and the offset to a millisecond, with as much noise as sound in the
    channel. A minute is too little for 10 ppm; the interval says so. It is somewhat narrow: of 24 simulated sessions of
    four minutes, it held the truth in 21.
    """
    if hasattr(channel, "get_data"):
        raise TypeError(
            f"channel: expected the samples of one channel, got {type(channel).__name__}. Take the one with the sound: "
            "`raw.get_data('AUD')[0]`."
        )
    if not isinstance(audio, Audio):
        raise TypeError(f"audio: expected an Audio, got {type(audio).__name__}. `read_audio(path)` reads one.")
    where = f"{audio.name}: the recorded channel"
    samples = _checks.real_array(where, channel, 1, axes="(n_times,)")
    if _checks.positive("sfreq", sfreq, "hertz") < 2 * _LOUDNESS_RATE:
        raise ValueError(f"{where}: {sfreq:g} Hz hold too little of a sound; expected {2 * _LOUDNESS_RATE:g} or more.")
    length = round(_checks.positive("window", window, "seconds") * _LOUDNESS_RATE)
    if not 0 < _checks.finite("min_r", min_r, "correlation") < 1:
        raise ValueError(f"min_r: expected a correlation between 0 and 1, got {min_r!r}.")
    most = 1e-6 * _checks.positive("max_ppm", max_ppm, "parts per million")
    if min(len(samples) / sfreq, audio.duration) < 3 * window:
        raise ValueError(
            f"{where} lasts {len(samples) / sfreq:.1f} s, the sound {audio.duration:.1f} s; three windows of "
            f"{window:g} s are the least. Give more of both, or a shorter window=."
        )
    if not np.isfinite(samples).all():
        raise ValueError(f"{where}: sample {np.isfinite(samples).argmin()} is not finite. Repair the recording first.")
    heard = _loudness(samples, sfreq, int(min(sfreq, _FASTEST)), where)
    mono = audio.mono()
    tops = dict.fromkeys((int(min(sfreq, audio.sfreq, _FASTEST)), int(min(audio.sfreq, _FASTEST))))
    matches = [_match(heard, _loudness(mono, audio.sfreq, top, audio.name), length, most, min_r) for top in tops]
    _, clock, complaint = max(matches, key=lambda match: match[0])
    if clock is None:
        raise ValueError(f"{where} {complaint}")
    return clock


def _loudness(samples: np.ndarray, sfreq: float, top: int, name: str) -> np.ndarray:
    """Power over time, at 128 Hz, of what a channel of `top` hertz can hold of the sound."""
    from scipy.signal import butter, sosfiltfilt

    sound = samples if top == sfreq else resampled(samples, sfreq, top, name)
    sound = sound - sound.mean()
    sound /= np.abs(sound).max() or 1.0
    band = butter(4, (20.0, 0.4 * top), "bandpass", fs=top, output="sos")  # above, filters of devices differ
    pieces = []
    for start in range(0, len(sound), _PIECE * top):  # with a second of margin on either side
        first = max(0, start - top)
        piece = sosfiltfilt(band, sound[first : start + (_PIECE + 1) * top])
        loud = envelope(Audio(piece, top, name), _LOUDNESS_RATE).values[:, 0] ** 2
        skipped = (start - first) // top * _LOUDNESS_RATE
        pieces.append(loud[skipped : skipped + _PIECE * _LOUDNESS_RATE])
    loudness = np.concatenate(pieces)
    if not loudness.max() > 1e-16:  # what rounding leaves of a constant
        raise ValueError(f"{name} holds no sound (nothing above 20 Hz). Is it the right one?")
    return loudness


def _match(
    heard: np.ndarray, played: np.ndarray, length: int, most: float, min_r: float
) -> tuple[float, Clock | None, str]:
    """Median correlation of loudness, the clock that makes sound and recording alike, or what speaks against one."""
    starts = np.arange(0, len(played) - length + 1, length)
    loud = np.array([played[start : start + length].std() for start in starts])
    starts = starts[loud > 0.02 * loud.max()]
    centres = (starts + 0.5 * (length - 1)) / _LOUDNESS_RATE
    clock = _rough_clock(heard, played, starts[:: -(-len(starts) // 60)], length, most)
    for _ in range(2):  # the first line is good enough for the second to find no drift within windows
        lags, r = lags_near(heard, played, starts, length, clock)
        n_recorded, trusted = int(np.isfinite(r).sum()), r >= min_r
        median = float(np.nanmedian(r)) if n_recorded else 0.0
        if trusted.sum() < max(3, n_recorded / 2):
            few = f"resembles the sound in {trusted.sum()} of {n_recorded} windows (r >= {min_r:g}; median"
            return median, None, f"{few} {median:.2f}); expected half of them, and 3 at least. {_ADVICE}"
        found = clock.recording(centres[trusted] + lags[trusted])
        clock = line_through(centres[trusted], found, f"from {trusted.sum()} windows of sound")
    doubt = jump(centres[trusted], found)
    known = np.delete(np.flatnonzero(trusted), clock.outliers)
    doubt = doubt or _far_jump(heard, played, starts[np.isfinite(r)], length, clock, starts[known], min_r)
    if not doubt and abs(clock.rate) > most:
        doubt = (
            f"runs {clock.ppm:+.0f} ppm against the sound, and max_ppm is {1e6 * most:g}. Are both sampling rates "
            "right? Then raise max_ppm."
        )
    if not doubt:
        doubt = _doubt(heard, played, clock)
    return median, None if doubt else clock, doubt


def _rough_clock(heard: np.ndarray, played: np.ndarray, starts: np.ndarray, length: int, most: float) -> Clock:
    """The line that most of the best alignments of windows agree on: a repeated passage alone may mislead."""
    from scipy.signal import find_peaks

    votes = []
    for start in starts:
        r = np.pad(_correlations(heard, played[start : start + length]), 1, constant_values=-1)
        peaks, _ = find_peaks(r, height=0, distance=round(0.05 * _LOUDNESS_RATE))
        best = peaks[np.argsort(r[peaks])[-5:]]
        votes += [(start, (peak - 1 - start) / _LOUDNESS_RATE, r[peak] ** 2) for peak in best]
    firsts, gaps, weights = np.array(votes).T
    times = (firsts + 0.5 * (length - 1)) / _LOUDNESS_RATE
    n_rates = 2 * int(np.ceil(2 * most * np.ptp(times) / _ALIKE)) + 1
    winner = (-1.0, 0.0, 0.0)
    for rate in np.linspace(-most, most, n_rates):
        offsets = gaps - rate * times
        order = np.argsort(offsets)
        sums = np.concatenate([[0], np.cumsum(weights[order])])
        ends = np.searchsorted(offsets[order], offsets[order] + _ALIKE, side="right")
        first = int(np.argmax(sums[ends] - sums[:-1]))
        agree = order[first : ends[first]]
        winner = max(winner, (weights[agree].sum(), rate, np.average(offsets[agree], weights=weights[agree])))
    return Clock(float(winner[1]), float(winner[2]))


def lags_near(
    heard: np.ndarray, played: np.ndarray, starts: np.ndarray, length: int, clock: Clock
) -> tuple[np.ndarray, np.ndarray]:
    """Seconds by which each window is heard later than `clock` says, and the correlation there (nan: not recorded)."""
    margin = round(_NEAR * _LOUDNESS_RATE)
    positions = clock.recording(np.arange(-margin, len(played) + margin) / _LOUDNESS_RATE) * _LOUDNESS_RATE
    inside = (positions >= 0) & (positions <= len(heard) - 1)
    warped = np.full(len(positions), np.nan)
    warped[inside] = values_at(heard[:, None], positions[inside])[:, 0]
    fine = np.arange(-1, 1, 1 / _FINE)
    lags, best = np.full((2, len(starts)), np.nan)
    for i, start in enumerate(starts):
        stretch = warped[start : start + length + 2 * margin]
        if np.isfinite(stretch).all():
            r = _correlations(stretch, played[start : start + length])
            k = 1 + int(np.argmax(r[1:-1]))
            best[i] = r[k] if r[k] > max(r[k - 1], r[k + 1]) else 0.0  # it may only rise towards the edge
            if best[i]:
                near = k + fine  # a parabola through three samples would draw the peak to the middle one
                lags[i] = (near[np.argmax(values_at(r[:, None], near))] - margin) / _LOUDNESS_RATE
    return lags, best


def _far_jump(
    heard: np.ndarray,
    played: np.ndarray,
    recorded: np.ndarray,
    length: int,
    clock: Clock,
    known: np.ndarray,
    min_r: float,
) -> str:
    """A jump beyond which no window lies on the line, but two in a row at one distance from it, in words."""
    shifts = np.full(len(recorded), np.nan)
    due = clock.recording(recorded / _LOUDNESS_RATE)
    for i in np.flatnonzero((recorded < known.min()) | (recorded > known.max())):
        r = _correlations(heard, played[recorded[i] : recorded[i] + length])
        if r.max() >= min_r:
            shifts[i] = np.argmax(r) / _LOUDNESS_RATE - due[i]
    pairs = np.flatnonzero(np.abs(np.diff(shifts)) < _ALIKE)
    if not len(pairs):
        return ""
    later = bool(recorded[pairs[0]] > known.max())
    first = np.argmax(recorded > known.max()) if later else np.argmax(recorded >= known.min())
    size = shifts[pairs[0]] if later else -shifts[pairs[0]]
    return jumped(float(size), *(due[[first - 1, first]] + 0.5 * length / _LOUDNESS_RATE))


def _doubt(heard: np.ndarray, played: np.ndarray, clock: Clock) -> str:
    """What speaks against `clock` at other alignments: the recording should resemble the sound there as it does itself.

    Sounds of one tempo resemble each other beat by beat, but one alignment is then as good as the next, and how good
    they are does not follow from how the sound resembles itself.
    """
    from scipy.signal import correlate, find_peaks

    first, last = clock.sound(np.array([0, len(heard) - 1]) / _LOUDNESS_RATE) * _LOUDNESS_RATE
    both = np.arange(max(np.ceil(first), 0), min(np.floor(last), len(played) - 1) + 1)
    warped = np.interp(clock.recording(both / _LOUDNESS_RATE) * _LOUDNESS_RATE, np.arange(len(heard)), heard)
    x, y = (z - z.mean() for z in (played[both.astype(int)], warped))
    itself = correlate(x, x, method="fft") / (x @ x)
    seconds = np.arange(1 - len(x), len(x)) / _LOUDNESS_RATE
    far = np.abs(seconds) > _NEAR
    r = correlate(y, x, method="fft")
    r = r / r[~far].max()
    rivals = [peak for peak in find_peaks(r, height=_RIVAL)[0] if far[peak]]
    if rivals:
        best = max(rivals, key=lambda peak: r[peak])
        return f"resembles the sound almost as well ({r[best]:.0%} of r) when moved by {seconds[best]:.2f} s. {_ADVICE}"
    if np.abs(r - itself)[far].max() > _ODD:
        return f"follows the tempo of the sound, but resembles it otherwise than the sound does itself. {_ADVICE}"
    return ""


def _correlations(long: np.ndarray, short: np.ndarray) -> np.ndarray:
    """Pearson correlation of `short` with every stretch of `long`, shape (len(long) - len(short) + 1,)."""
    from scipy.signal import oaconvolve

    n, short, long = len(short), short - short.mean(), long - long.mean()
    sums, squares = (np.concatenate([[0], np.cumsum(x)]) for x in (long, long**2))
    power = squares[n:] - squares[:-n] - (sums[n:] - sums[:-n]) ** 2 / n
    norm = np.sqrt(np.maximum(power, 1e-12 * squares[-1] + 1e-200) * (short @ short))  # silence resembles nothing
    return np.asarray(oaconvolve(long, short[::-1], mode="valid") / norm)
