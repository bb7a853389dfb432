"""Between the clock of notes and that of frames: surprisal at onsets, and frames pooled over each note."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np

from eegic import _checks
from eegic.series import TIME_TOLERANCE, FeatureSeries

POOLS = ("max", "mean", "first", "sum")
CHORDS = ("sum", "max", "mean")


def note_ic_to_series(
    onsets: object, ic: object, *, name: str | Sequence[str] = "surprisal", chords: str = "sum"
) -> FeatureSeries:
    """Return the information content of notes as impulses at their onsets.

    Parameters
    ----------
    onsets : array_like of float, shape (n_notes,)
        Seconds from the start of the piece, in any order; notes of a chord share theirs.
    ic : array_like of float, shape (n_notes,) or (n_notes, n_features)
        Of each note; bits, as everywhere for notes (1 nat is 1.4427 bits). NaN where it is not known.
    name : str or sequence of str
        One per feature.
    chords : {"sum", "max", "mean"}
        What becomes of notes at one onset. ``sum``: their joint information content, if each was computed given the
        others before it; ``max``: the most surprising one; ``mean``: a typical one. NaN if one of them is not known.

    Returns
    -------
    FeatureSeries
        In bits, one row per onset, sorted by time. ``series.resample(sfreq, duration=..., kind="impulse")`` brings it
        onto the clock of the EEG.

    Examples
    --------
    >>> series = note_ic_to_series([0.0, 0.5, 0.5, 1.25], [2.0, 1.0, 3.0, 0.5])
    >>> series.times, series.values[:, 0]
    (array([0.  , 0.5 , 1.25]), array([2. , 4. , 0.5]))
    >>> series.resample(4, duration=2, kind="impulse").values[:, 0]
    array([2. , 0. , 4. , 0. , 0. , 0.5, 0. , 0. ])
    """
    _checks.one_of("chords", chords, CHORDS)
    times = _onsets(onsets)
    given = np.ndim(_checks.array("ic", ic, axes="(n_notes,) or (n_notes, n_features)"))
    values = _checks.real_array("ic", ic, 2 if given == 2 else 1, axes="(n_notes,) or (n_notes, n_features)")
    if len(values) != len(times):
        raise ValueError(f"ic: expected one row per onset ({len(times)}), got {len(values)}.")
    order = np.argsort(times, kind="stable")
    times, values = times[order], values[order].reshape(len(times), -1)
    starts = np.flatnonzero(np.diff(times, prepend=-np.inf) > TIME_TOLERANCE)
    together: np.ufunc = np.maximum if chords == "max" else np.add
    pooled = together.reduceat(values, starts, axis=0)
    if chords == "mean":
        pooled = pooled / np.diff(starts, append=len(times))[:, None]
    return FeatureSeries(pooled, times[starts], name)


def at_notes(
    series: FeatureSeries, onsets: object, *, how: str = "max", duration: float | np.ndarray | None = None
) -> FeatureSeries:
    """Pool the frames of a series over each note, so that it can be compared with the surprisal of notes.

    Parameters
    ----------
    series : FeatureSeries
        With a time per frame: the information content of sound, for instance. Which frames belong to a note depends on
        where a frame is stamped (its onset or its end), so that is to be declared along with `how`.
    onsets : array_like of float, shape (n_notes,)
        Seconds on the clock of `series`, strictly increasing. The frames of a note are those from its onset up to, not
        including, the next one; those of the last note go on to the end. A note that begins at most one step
        (`series.step`) before the first time takes the frames from there on, for they may be stamped at their ends. One
        that begins earlier has no frames, even if it lasts until there are some: its beginning was not heard.
    how : {"max", "mean", "first", "sum"}
        The largest known value, the mean of the known values, the first frame that is known, or the sum of the known
        values: the joint information content of the frames, each given those before it. It grows with their number;
        with `duration` all notes that last as long have as many.
    duration : float or array_like of float, shape (n_notes,), optional
        Seconds after the onset at which a note ends, if the next one has not begun by then.

    Returns
    -------
    FeatureSeries
        One row per note, at its onset, with the names and the info of `series`. NaN for a note without a known frame.
        Standard errors, if `series` has them: that of the frame chosen, or, for mean and sum, those of the frames in
        quadrature (as if the errors of frames were independent). The largest of noisy values is biased upwards, and
        its standard error does not say so: with noisy frames prefer the mean.

    Warns
    -----
    UserWarning
        If onsets lie more than one step before the first time or after the last: how many, and the first of them. (A
        single frame has no step: then any other onset.) Their notes are NaN.

    Examples
    --------
    >>> frames = FeatureSeries([1.0, 5.0, np.nan, 2.0, 4.0], [0.0, 0.1, 0.2, 0.3, 0.4], "ic")
    >>> at_notes(frames, [0.0, 0.2, 0.45]).values[:, 0]
    array([ 5.,  4., nan])
    >>> at_notes(frames, [0.0, 0.2, 0.45], how="mean").values[:, 0]
    array([ 3.,  3., nan])
    """
    if not isinstance(series, FeatureSeries):
        raise TypeError(f"series: expected a FeatureSeries, got {type(series).__name__}.")
    _checks.one_of("how", how, POOLS)
    starts = _onsets(onsets)
    if (np.diff(starts) <= TIME_TOLERANCE).any():
        raise ValueError("onsets: expected strictly increasing seconds. Sort them, and give each chord one onset.")
    ends = np.append(starts[1:], np.inf)
    if duration is not None:
        ends = np.minimum(ends, starts + _durations(duration, len(starts)))
    outside = _outside(series, starts)
    if outside.any():
        warnings.warn(
            f"onsets: {int(outside.sum())} of {len(starts)} lie outside the series ({series.times[0]:g} to "
            f"{series.times[-1]:g} s) by more than one step, the first at {starts[outside][0]:g} s. Their notes are "
            "NaN. Are onsets in seconds from the start of the sound?",
            stacklevel=2,
        )
    first, last = (np.searchsorted(series.times, edge - TIME_TOLERANCE, side="left") for edge in (starts, ends))
    last = np.where(outside, first, last)
    values = np.full((len(starts), series.n_features), np.nan)
    se = None if series.se is None else values.copy()
    for note, feature in np.ndindex(*values.shape):
        frames = np.arange(int(first[note]), int(last[note]))
        frames = frames[~np.isnan(series.values[frames, feature])]
        if len(frames):
            frames = _CHOICES[how](series.values[frames, feature], frames)
            share = 1 if how == "sum" else len(frames)
            values[note, feature] = series.values[frames, feature].sum() / share
            if se is not None and series.se is not None:
                se[note, feature] = np.sqrt(np.sum(series.se[frames, feature] ** 2)) / share
    return FeatureSeries(values, starts, series.names, se=se, info=series.info)


def rank_correlation(x: object, y: object, *, pieces: Sequence[object] | None = None) -> dict[object, float] | float:
    """Spearman correlation between two values per note, over the notes where both are known.

    Parameters
    ----------
    x, y : array_like of float, shape (n_notes,)
        NaN where not known.
    pieces : sequence of hashable, length n_notes, optional
        The piece of each note. Pieces differ in tempo, and so in mean surprisal: correlate within them.

    Returns
    -------
    float, or dict of piece to float
        In order of appearance. NaN where fewer than three notes are known, or where all their values are equal.

    Examples
    --------
    >>> note, sound = [1.0, 2.0, 3.0, 4.0, 9.0, 8.0, 7.0], [1.5, 2.5, np.nan, 7.0, 1.0, 2.0, 3.0]
    >>> rank_correlation(note, sound, pieces=["a"] * 4 + ["b"] * 3)
    {'a': 1.0, 'b': -1.0}
    """
    first, second = (_checks.real_array(name, v, 1, axes="(n_notes,)") for name, v in (("x", x), ("y", y)))
    if len(first) != len(second):
        raise ValueError(f"x, y: expected as many values of each, got {len(first)} and {len(second)}.")
    if pieces is None:
        return _spearman(first, second)
    labels = list(pieces)
    if len(labels) != len(first):
        raise ValueError(f"pieces: expected one per note ({len(first)}), got {len(labels)}.")
    rows: dict[object, list[int]] = {}
    for row, label in enumerate(labels):
        rows.setdefault(label, []).append(row)
    return {label: _spearman(first[chosen], second[chosen]) for label, chosen in rows.items()}


def _spearman(x: np.ndarray, y: np.ndarray) -> float:
    from scipy.stats import rankdata

    known = ~(np.isnan(x) | np.isnan(y))
    if known.sum() < 3 or np.ptp(x[known]) == 0 or np.ptp(y[known]) == 0:
        return float("nan")
    ranks = np.stack([rankdata(x[known]), rankdata(y[known])])
    return float(np.clip(np.corrcoef(ranks)[0, 1], -1, 1))


def _onsets(onsets: object) -> np.ndarray:
    array = _checks.real_array("onsets", onsets, 1, axes="(n_notes,)")
    if not len(array) or not np.isfinite(array).all():
        came = "none" if not len(array) else f"{array[~np.isfinite(array)][0]}"
        raise ValueError(f"onsets: expected finite seconds of at least one note, got {came}.")
    return array


def _outside(series: FeatureSeries, onsets: np.ndarray) -> np.ndarray:
    """Which onsets lie more than one step before the first time or after the last."""
    margin = (series.step if series.n_times > 1 else 0.0) + TIME_TOLERANCE
    outside: np.ndarray = (onsets < series.times[0] - margin) | (onsets > series.times[-1] + margin)
    return outside


def _durations(duration: object, n_notes: int) -> np.ndarray:
    ndim = np.ndim(_checks.array("duration", duration, axes="() or (n_notes,)"))
    array = _checks.real_array("duration", duration, 1 if ndim else 0, axes="() or (n_notes,)")
    if ndim and len(array) != n_notes:
        raise ValueError(f"duration: expected one number of seconds, or one per note ({n_notes}), got {len(array)}.")
    if not (array > 0).all():
        raise ValueError(f"duration: expected positive seconds, got {np.min(array):g}.")
    return array


_CHOICES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "max": lambda known, frames: frames[[np.argmax(known)]],
    "mean": lambda known, frames: frames,
    "first": lambda known, frames: frames[:1],
    "sum": lambda known, frames: frames,
}
