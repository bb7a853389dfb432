"""Does a sound go with an envelope that was shipped without it?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor

import numpy as np

from eegic import _checks, features
from eegic.audio import Audio
from eegic.series import FeatureSeries

MOST_DRIFT = 0.03  # seconds by which lags may differ over the piece

_SAME = 1e-3  # of a correlation; envelopes of one sound, shipped twice, differ by less
_LEAST = 10.0  # seconds that both must share
_WINDOW = 5.0  # seconds of which a lag is estimated, for the drift; they overlap by half
_NEAR = 0.2  # seconds around the lag of the whole, in which those of windows are sought


@dataclass(frozen=True)
class RenderingCheck:
    """How well the envelope of a sound agrees with one that was shipped.

    Attributes
    ----------
    name : str
        The sound.
    correlation : float
        Pearson correlation of the two envelopes at the best lag.
    lag : float
        Seconds; positive means the shipped envelope follows the sound. ``feature.shift(check.lag)`` brings features of
        the sound onto the clock of the data set.
    drift : float
        Seconds by which the lag grows from the start to the end of what both cover; NaN if fewer than three windows of
        5 s resemble each other.
    longer : float
        Seconds by which the sound outlasts the shipped envelope.
    rival : str
        Of the envelopes of other sounds, the one that agrees best; empty if none was given.
    rival_correlation : float
        How well it agrees, at its best lag; NaN if none was given.
    at_least, max_lag : float
        What was asked for.
    """

    name: str
    correlation: float
    lag: float
    drift: float
    longer: float
    rival: str
    rival_correlation: float
    at_least: float
    max_lag: float

    @property
    def complaint(self) -> str:
        """What speaks against the sound; empty if nothing does."""
        if not self.correlation >= self.at_least:
            return (
                f"r = {self.correlation:.2f} is below {self.at_least:g}. Is it this piece, this version and this tempo?"
            )
        if abs(self.lag) > self.max_lag - 1e-9:
            return f"the best lag, {self.lag:+.3f} s, is at the edge of those looked at. Raise max_lag."
        if abs(self.drift) > MOST_DRIFT:
            return f"the lag changes by {1000 * self.drift:+.0f} ms over the piece. The tempo is not the same."
        if self.rival_correlation > self.correlation + _SAME:
            return f"the envelope of {self.rival} agrees better, r = {self.rival_correlation:.2f}. Were two exchanged?"
        return ""

    @property
    def ok(self) -> bool:
        """Whether the sound may stand for the one that was heard."""
        return not self.complaint

    def require(self) -> RenderingCheck:
        """Return the check, or raise a ValueError that says what speaks against the sound."""
        if self.complaint:
            raise ValueError(f"{self.name}: the sound does not go with the envelope: {self.complaint}")
        return self

    def __repr__(self) -> str:
        """The numbers, and the complaint if there is one."""
        drift = "" if np.isnan(self.drift) else f", drift {1000 * self.drift:+.0f} ms"
        complaint = f"; {self.complaint}" if self.complaint else ""
        return f"RenderingCheck({self.name}: r = {self.correlation:.2f} at {1000 * self.lag:+.0f} ms{drift}{complaint})"


def check_rendering(
    audio: Audio,
    envelope: FeatureSeries,
    *,
    others: Mapping[str, FeatureSeries] | None = None,
    at_least: float = 0.5,
    max_lag: float = 0.5,
) -> RenderingCheck:
    """Compare the envelope of a sound with the one that a data set ships.

    Parameters
    ----------
    audio : Audio
        For instance what `render_midi` made of the score that was heard.
    envelope : FeatureSeries
        The envelope of what was heard, in any unit, one feature on a regular grid; NaN where not known.
    others : dict of str to FeatureSeries, optional
        Shipped envelopes of other pieces, by name; none of them may agree better. Give them if you have them: pieces
        with a common beat resemble each other.
    at_least : float
        Correlation, 0 to 1, below which the sound is refused.
    max_lag : float
        Largest lag to look at, in seconds, in both directions.

    Returns
    -------
    RenderingCheck
        Its ``ok`` says whether the sound passes; ``check_rendering(...).require()`` raises if it does not. It passes if
        the correlation reaches `at_least`, the best lag lies within those looked at, the lag changes by at most 30 ms
        over the piece, and no other envelope agrees better.

    Notes
    -----
    Envelopes are compared as they are (`eegic.envelope` of the sound, at the rate of the other). The lag is read off
    a parabola through the highest correlations; the drift is the median slope between the lags of windows of 5 s.

    The threshold was chosen on 22 pieces of 24 to 62 s, played by the built-in piano of `render_midi` and compared with
    a recorded piano (fluidsynth's).

    * Right score: r = .77 to .95 (lowest with three voices), lag +2 to +7 ms, drift up to 4 ms; r = .64 to .87 in a
      room of 1.5 s with as much reverberation as sound; .79 to .97 after compression (power 0.3). The threshold of .5
      refuses none of them.
    * Wrong tempo: 0.1 % slower, r is still .55 to .93, and the drift shows it in pieces longer than 30 s; from 0.3 %
      on, where r is .35 to .86, none passed.
    * Wrong score, free rhythm: r is at most .34 in 60 s, .42 in 30 s, and .53 (2 of 56 pass) in 16 s.
    * Wrong score, common beat: r = .28 to .91 for chorales and .73 to .77 for even notes of one tempo. There no
      threshold tells pieces apart. With `others`, 80 of 80 exchanged pieces were refused, and none of 16 right ones.
    * Wrong key: r = .99; envelopes say nothing of pitch.
    * Wrong instrument: organ, flute or strings for a piano give .25 to .66. Choose the timbre that was heard.

    Examples
    --------
    >>> from eegic.datasets import Score, render_midi
    >>> onsets = np.cumsum(np.random.default_rng(0).choice([0.2, 0.4, 0.7], 40))
    >>> score = Score(onsets, np.full(40, 0.2), np.full(40, 64), name="tune")
    >>> piano, guitar = (render_midi(score, timbre=timbre, sfreq=8000) for timbre in ("piano", "guitar"))
    >>> check_rendering(piano, features.envelope(guitar)).ok
    True
    """
    if not 0 < _checks.finite("at_least", at_least, "correlation") < 1:
        raise ValueError(f"at_least: expected a correlation between 0 and 1, got {at_least!r}.")
    max_lag = _checks.positive("max_lag", max_lag, "seconds")
    sfreq = _rate("envelope", envelope)
    ours = features.envelope(audio, sfreq).values[:, 0]
    correlation, shift = _best(ours, envelope, sfreq, max_lag)
    if np.isnan(correlation):
        raise ValueError(
            f"{audio.name}: {audio.duration:.1f} s of sound and {envelope.n_times / sfreq:.1f} s of envelope share "
            f"less than {_LEAST:g} s that vary. Give more of both."
        )
    start = float(envelope.times[0])
    rival, highest = _rival(ours, others or {}, sfreq, max_lag)
    return RenderingCheck(
        name=audio.name,
        correlation=correlation,
        lag=start + shift / sfreq,
        drift=_drift(envelope.values[:, 0], ours, round(shift), sfreq, at_least),
        longer=audio.duration - start - envelope.n_times / sfreq,
        rival=rival,
        rival_correlation=highest,
        at_least=float(at_least),
        max_lag=max_lag,
    )


def _rate(what: str, envelope: FeatureSeries) -> float:
    """Samples per second of an envelope on a regular grid."""
    if not isinstance(envelope, FeatureSeries):
        raise TypeError(f"{what}: expected a FeatureSeries, got {type(envelope).__name__}.")
    steps = np.diff(envelope.times)
    if envelope.n_features != 1 or envelope.n_times < 3 or np.ptp(steps) > 0.01 * envelope.step:
        raise ValueError(
            f"{what}: expected one feature at equal steps, got {envelope!r}. "
            "`FeatureSeries(values, np.arange(len(values)) / sfreq, 'envelope')` makes one of samples."
        )
    return float(1 / steps.mean())


def _rival(ours: np.ndarray, others: Mapping[str, FeatureSeries], sfreq: float, max_lag: float) -> tuple[str, float]:
    """Of other envelopes, the one that agrees best, and how well."""
    found = {}
    for name, other in others.items():
        if not np.isclose(_rate(f"others[{name!r}]", other), sfreq, rtol=1e-6):
            raise ValueError(f"others[{name!r}]: expected {sfreq:g} Hz like the envelope, got {1 / other.step:g} Hz.")
        correlation, _ = _best(ours, other, sfreq, max_lag)
        if not np.isnan(correlation):
            found[name] = correlation
    name = max(found, key=lambda name: found[name], default="")
    return name, found.get(name, float("nan"))


def _best(ours: np.ndarray, envelope: FeatureSeries, sfreq: float, max_lag: float) -> tuple[float, float]:
    """Highest correlation at lags up to `max_lag`, and its shift in samples; NaN if too little is shared."""
    start = float(envelope.times[0])
    lowest, highest = floor((-max_lag - start) * sfreq), ceil((max_lag - start) * sfreq)
    r = _correlations(envelope.values[:, 0], ours, np.arange(lowest, highest + 1), _LEAST * sfreq)
    if np.isnan(r).all():
        return float("nan"), 0.0
    return float(np.nanmax(r)), lowest + _peak(r)


def _correlations(shipped: np.ndarray, ours: np.ndarray, shifts: np.ndarray, least: float) -> np.ndarray:
    """Correlation of ``shipped[k]`` with ``ours[k - shift]`` at each shift; NaN if fewer than `least` are shared."""
    r = np.full(len(shifts), np.nan)
    for i, shift in enumerate(shifts):
        first, last = max(0, shift), min(len(shipped), len(ours) + shift)
        if last - first < least:
            continue
        a, b = shipped[first:last], ours[first - shift : last - shift]
        known = np.isfinite(a)
        if known.sum() >= least and np.ptp(a[known]) > 0 and np.ptp(b[known]) > 0:
            r[i] = np.corrcoef(a[known], b[known])[0, 1]
    return r


def _peak(r: np.ndarray) -> float:
    """Place of the highest value, between samples if it has neighbours on both sides."""
    top = int(np.nanargmax(r))
    if not 0 < top < len(r) - 1:
        return float(top)
    before, at, after = r[top - 1 : top + 2]
    curve = before - 2 * at + after
    return float(top + (0.5 * (before - after) / curve if curve < 0 else 0))


def _drift(shipped: np.ndarray, ours: np.ndarray, shift: int, sfreq: float, at_least: float) -> float:
    """Seconds by which lags of windows grow over the piece: the median slope between any two, times the length."""
    from scipy.stats import theilslopes

    first, last = max(0, shift), min(len(shipped), len(ours) + shift)
    shipped, ours = shipped[first:last], ours[first - shift : last - shift]
    length, near = round(_WINDOW * sfreq), round(_NEAR * sfreq)
    places, lags = [], []
    for start in range(0, len(shipped) - length + 1, max(1, length // 2)):
        before = min(start, near)
        around = ours[start - before : start + length + near]
        shifts = np.arange(-near, near + 1) - before
        r = _correlations(shipped[start : start + length], around, shifts, 0.8 * length)
        if not np.isnan(r).all() and np.nanmax(r) >= at_least:
            places.append(start)
            lags.append(_peak(r) - near)
    if len(places) < 3:
        return float("nan")
    return float(theilslopes(lags, places)[0] * len(shipped) / sfreq)
