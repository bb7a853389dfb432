"""One clock for sound and EEG: how fast one runs against the other, and how far apart they start."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np

from eegic import _checks
from eegic.eeg.triggers import Onsets

_MOST = 0.01  # difference of rates; quartz stays below 0.001, so beyond this something else is wrong
_CHANCE = 0.001  # that a recording loses a pair as an outlier which is none
_SCATTER = 0.05  # seconds; triggers that belong to their sounds come closer
_TIGHTEST = 0.01  # seconds between samples at 100 Hz; what is nearer to the line may be due to them
_JUMP = 1e-4  # chance that times without a jump seem to have one


@dataclass(frozen=True, eq=False, repr=False)
class Clock:
    """How the time of a recording relates to the time of the sound: ``recording = offset + (1 + rate) * sound``.

    Attributes
    ----------
    rate : float
        Seconds that the recording's clock gains per second of sound; 0.0002 is 200 ppm.
    offset : float
        Seconds on the recording's clock at which the sound's time is 0.
    n : int
        Pairs of times (triggers, or windows of sound) the line was drawn through.
    residual, jitter : float
        Seconds from pairs to line: root mean square of the pairs it was drawn through, and robust SD of all pairs.
    interval_ppm : tuple of float
        95 % confidence interval of the rate in parts per million; nan where two pairs allow none.
    outliers : tuple of int
        Pairs that were left out because they lie too far off the line.
    source : str
        What the estimate rests on.

    Examples
    --------
    >>> clock = Clock(rate=200e-6, offset=0.037)
    >>> clock
    Clock(+200.0 ppm, offset 37.0 ms, as given)
    >>> round(1000 * clock.drift(60), 3)  # milliseconds in a minute
    12.0
    """

    rate: float = 0.0
    offset: float = 0.0
    n: int = 0
    residual: float = float("nan")
    jitter: float = float("nan")
    interval_ppm: tuple[float, float] = (float("nan"), float("nan"))
    outliers: tuple[int, ...] = ()
    source: str = "as given"

    def __post_init__(self) -> None:
        _checks.finite("offset", self.offset, "seconds")
        if abs(_checks.finite("rate", self.rate, "seconds per second")) > _MOST:
            raise ValueError(
                f"rate: the clocks would differ by {self.ppm:.3g} ppm; those of devices stay within {1e6 * _MOST:g}. "
                "Are both times in seconds, and does each belong to its partner? A rate is a fraction: 200 ppm is "
                "200e-6."
            )

    @property
    def ppm(self) -> float:
        """Rate in parts per million."""
        return 1e6 * self.rate

    def __repr__(self) -> str:
        low, high = self.interval_ppm
        interval = f" (95 % {low:+.1f} to {high:+.1f})" if np.isfinite(low) else ""
        quality = f", residual {1000 * self.residual:.2f} ms" if np.isfinite(self.residual) else ""
        quality += f", {len(self.outliers)} left out" if self.outliers else ""
        return f"Clock({self.ppm:+.1f} ppm{interval}, offset {1000 * self.offset:.1f} ms, {self.source}{quality})"

    def drift(self, duration: float) -> float:
        """Seconds by which the clocks come apart while a sound lasts `duration` seconds."""
        return self.rate * _checks.finite("duration", duration, "seconds")

    def recording(self, sound_times: object) -> np.ndarray:
        """Seconds on the recording's clock at these times of the sound: where to cut."""
        return self.offset + (1 + self.rate) * _seconds("sound_times", sound_times)

    def sound(self, recording_times: object) -> np.ndarray:
        """Seconds on the sound's clock at these times of the recording."""
        return (_seconds("recording_times", recording_times) - self.offset) / (1 + self.rate)

    def since(self, sound_time: float) -> Clock:
        """Return the same clock for sound times that count from `sound_time` seconds."""
        return replace(self, offset=float(self.recording(_checks.finite("sound_time", sound_time, "seconds"))))


def _seconds(name: str, times: object) -> np.ndarray:
    """Times of any shape as an array; `Onsets` stand for theirs."""
    given = _checks.array(name, times.seconds if isinstance(times, Onsets) else times, axes="of seconds")
    if given.dtype.kind not in "fiu":
        raise TypeError(f"{name}: expected seconds, got {times!r} ({type(times).__name__}). Give numbers.")
    return given.astype(float)


def clock_from_rates(recorded: float, assumed: float) -> Clock:
    """Clock of a recording whose samples came at `recorded` hertz but are counted as if they came at `assumed` hertz.

    Examples
    --------
    >>> clock_from_rates(recorded=99.9, assumed=100.0)
    Clock(-1000.0 ppm, offset 0.0 ms, 99.9 Hz taken for 100 Hz)
    """
    recorded = _checks.positive("recorded", recorded, "hertz")
    assumed = _checks.positive("assumed", assumed, "hertz")
    if abs(recorded / assumed - 1) > _MOST:
        raise ValueError(
            f"recorded, assumed: {recorded:g} and {assumed:g} Hz are not one rate in two devices. To change the rate, "
            "resample with a low-pass, as `preprocess` does."
        )
    return Clock(recorded / assumed - 1, source=f"{recorded:.10g} Hz taken for {assumed:.10g} Hz")


def clock_from_triggers(sound_times: object, recording_times: object, *, name: str = "recording") -> Clock:
    """Clock from moments that both devices know.

    Parameters
    ----------
    sound_times : array_like, shape (n_pairs,)
        When each trigger was due on the sound's clock, in seconds: its sample in the stream of sound over the rate.
    recording_times : array_like of shape (n_pairs,), or Onsets
        When it stands in the recording, in seconds from the first sample: what `find_onsets` returns, or
        ``(events[:, 0] - raw.first_samp) / sfreq`` for events of MNE.
    name : str
        Starts the messages.

    Returns
    -------
    Clock
        Least squares through all pairs but those that lie too far from a Theil-Sen line to belong to it (chance in a
        thousand, given the robust SD, and more than 10 ms, for samples at 100 Hz are as far apart); a warning names
        them.

    Notes
    -----
    A recording that loses samples jumps against the sound, and a line through both parts is wrong for either. A jump of
    more than 10 ms (or of what the times are rounded to) that explains the pairs better than a line that bends is
    refused (F test, chance below one in ten thousand over all places). Twenty pairs show most jumps, six only large
    ones.

    Triggers do not know how long the sound took from sound card to ear. An offset that all of them share stays in;
    `clock_from_audio` measures it, and `offset_profile` shows it.

    Examples
    --------
    >>> sound = np.arange(0, 600, 30.0)
    >>> clock = clock_from_triggers(sound, 12.5 + 1.0002 * sound)
    >>> round(clock.ppm, 3), round(clock.offset, 6)
    (200.0, 12.5)
    """
    sound, recording = (
        _checks.real_array(
            f"{name}: {what}", times.seconds if isinstance(times, Onsets) else times, 1, axes="(n_pairs,)"
        )
        for what, times in (("sound_times", sound_times), ("recording_times", recording_times))
    )
    if len(sound) != len(recording):
        raise ValueError(
            f"{name}: {len(sound)} times of the sound and {len(recording)} of the recording; each needs its partner. "
            "Find the missing or double triggers first: `find_onsets` with a log."
        )
    finite = np.isfinite(sound) & np.isfinite(recording)
    if not finite.all():
        raise ValueError(f"{name}: pair {np.argmin(finite)} is not finite. Leave out triggers that were not found.")
    if len(np.unique(sound)) < 2:
        raise ValueError(f"{name}: expected triggers at two or more different times, got {len(np.unique(sound))}.")
    lost = jump(sound, recording)
    if lost:
        raise ValueError(f"{name} {lost} If a trigger is missing there, so that pairs shift, match them first.")
    try:
        clock = line_through(sound, recording, f"from {len(sound)} triggers")
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if 4 * len(clock.outliers) > len(sound) or clock.jitter > _SCATTER:
        raise ValueError(
            f"{name}: {len(sound)} pairs do not lie on one line ({len(clock.outliers)} are far off it, the others "
            f"scatter by {1000 * clock.jitter:.1f} ms). Is a trigger missing, so that pairs shift? Match them first."
        )
    if clock.outliers:
        warnings.warn(
            f"{name}: pairs {', '.join(map(str, clock.outliers[:9]))} of {len(sound)} lie more than "
            f"{1000 * _allowed(clock.jitter, len(sound), recording):.1f} ms off the line and are left out.",
            stacklevel=2,
        )
    return clock


def line_through(sound: np.ndarray, recording: np.ndarray, source: str) -> Clock:
    """Least squares through the pairs near a robust line; `source` says what the pairs are."""
    from scipy.stats import linregress, t, theilslopes

    origin, gap = sound.mean(), recording - sound  # small numbers: what is fitted is the difference
    some = slice(None, None, -(-len(sound) // 1000))  # of more pairs, all slopes would fill the memory
    distance = gap - theilslopes(gap[some], sound[some]).slope * sound
    distance -= np.median(distance)
    near, jitter, residual, half = np.ones(len(sound), bool), float("nan"), float("nan"), float("nan")
    if len(sound) > 2:
        jitter = float(1.4826 * np.median(np.abs(distance)))
        near = np.abs(distance) <= _allowed(jitter, len(sound), recording)
    line = linregress(sound[near] - origin, gap[near])
    if near.sum() > 2:
        residual = float(np.std(gap[near] - line.slope * sound[near]))
        half = float(t.ppf(0.975, near.sum() - 2) * line.stderr)
    return Clock(
        rate=float(line.slope),
        offset=float(line.intercept - line.slope * origin),
        n=int(near.sum()),
        residual=residual,
        jitter=jitter,
        interval_ppm=(1e6 * (float(line.slope) - half), 1e6 * (float(line.slope) + half)),
        outliers=tuple(np.flatnonzero(~near).tolist()),
        source=source,
    )


def _allowed(jitter: float, n: int, recording: np.ndarray) -> float:
    """Distance from the line, in seconds, beyond which one of `n` pairs is an outlier; a sample is none."""
    from scipy.stats import t

    return max(float(t.ppf(1 - _CHANCE / (2 * n), n - 2)) * jitter, _TIGHTEST, 1.1 * _step(recording))


def jump(sound: np.ndarray, recording: np.ndarray) -> str:
    """When and by how much the recording jumps against the sound, in words; empty if a line, or a bend, does as well.

    Pairs far from a line with a jump are left out, else a few outliers side by side would make one.
    """
    from scipy.stats import f

    order = np.argsort(sound, kind="stable")
    times, gap = sound[order], (recording - sound)[order]
    least = max(_TIGHTEST, 1.5 * _step(recording))  # rounding makes steps of a sample where the clocks hardly drift
    for last in (False, True):
        n = len(times)
        if n < 6 or times[0] == times[-1]:
            return ""
        first, size, left, rest = _likeliest_jump(times, gap)
        near = np.abs(rest) <= _allowed(1.4826 * float(np.median(np.abs(rest))), n, recording)
        if last or near.all():
            break
        times, gap = times[near], gap[near]
    ratio = (left @ left - rest @ rest) / max((rest @ rest) / (n - 4), 1e-18)
    if abs(size) <= least or np.std(rest) > _SCATTER or (n - 5) * f.sf(ratio, 1, n - 4) > _JUMP:
        return ""
    return jumped(size, *(times + gap)[[first - 1, first]])


def _likeliest_jump(times: np.ndarray, gap: np.ndarray) -> tuple[int, float, np.ndarray, np.ndarray]:
    """First pair after it, size, and what a parabola leaves without and with it; three or more pairs on either side."""
    n = len(times)
    t = 2 * (times - times[0]) / (times[-1] - times[0]) - 1
    smooth = np.linalg.qr(np.stack([np.ones(n), t, t**2], axis=1))[0]
    left = gap - gap.mean()
    left -= smooth @ (smooth.T @ left)
    firsts = np.arange(3, n - 2)
    sums, parts = (x[::-1].cumsum(axis=0)[::-1][firsts] for x in (left, smooth))  # over the pairs after each jump
    lengths = n - firsts - (parts**2).sum(axis=1)  # squared, of what a parabola leaves of a step
    lengths[(lengths < 1e-6) | (np.diff(times)[firsts - 1] <= 0)] = np.inf  # no time passes, or no step is left
    k = int(np.argmax(sums**2 / lengths))
    size = float(sums[k] / lengths[k])
    step = np.arange(n) >= firsts[k]
    return int(firsts[k]), size, left, left - size * (step - smooth @ (smooth.T @ step))


def jumped(size: float, before: float, after: float) -> str:
    """What is said of a recording in which time goes on `size` seconds later between two moments."""
    what = f"lost {-1000 * size:.0f} ms" if size < 0 else f"gained {1000 * size:.0f} ms, or the sound paused,"
    return (
        f"seems to have {what} between {before:.0f} and {after:.0f} s: a line does not fit. Cut the recording there "
        "and make a clock of each part."
    )


def _step(times: np.ndarray) -> float:
    """Seconds between the whole samples that times stand at, a constant aside; 0 if they are finer than 128 Hz."""
    rates = np.concatenate([np.arange(1, 385) / 3, 1000 / np.arange(8, 1001)])  # so many a second, or milliseconds each
    rates = np.sort(rates)
    samples = (times - times[0])[:, None] * rates
    whole = (np.abs(samples - np.round(samples)) < 1e-4).all(axis=0)
    return float(1 / rates[np.argmax(whole)]) if whole.any() else 0.0
