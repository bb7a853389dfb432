"""The one home of the lag convention, and of everything that moves along lags.

A lag is a whole number of samples. **Positive lags: the output follows the input.** At lag ``l`` the design holds
``x[t - l]``, so a forward model (sound in, EEG out) with lags from 0 to 0.4 s predicts the EEG from the last 0.4 s of
sound. Both ends of a window are included. Before and after a recording the input is 0.

Columns of a design stand feature by feature, lags fastest: column ``f * n_lags + i`` is feature ``f`` at lag
``first + i``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from eegic import _checks

Array = Any  # a numpy array or a torch tensor


def lag_range(tmin: float, tmax: float, sfreq: float) -> range:
    """Whole-sample lags of the window from `tmin` to `tmax` seconds, both ends included.

    Parameters
    ----------
    tmin, tmax : float
        Seconds; positive means the output follows the input.
    sfreq : float
        Samples per second, in hertz.

    Returns
    -------
    range
        From floor(tmin * sfreq) to ceil(tmax * sfreq); products within 1e-9 of a whole number count as that number.

    Examples
    --------
    >>> lag_range(0.0, 0.28, 100.0)
    range(0, 29)
    >>> list(lag_range(-0.05, 0.05, 40.0))
    [-2, -1, 0, 1, 2]
    """
    tmin, tmax = _checks.finite("tmin", tmin, "seconds"), _checks.finite("tmax", tmax, "seconds")
    sfreq = _checks.positive("sfreq", sfreq, "hertz")
    if tmin > tmax:
        raise ValueError(f"tmin, tmax: the window runs backwards, from {tmin:g} to {tmax:g} s. Exchange them.")
    first = int(np.floor(round(tmin * sfreq, 9)))
    last = int(np.ceil(round(tmax * sfreq, 9)))
    return range(first, last + 1)


def windows(tmin: float | Sequence[float], tmax: float | Sequence[float], sfreq: float, n_features: int) -> list[range]:
    """Lags of every feature; `tmin` and `tmax` are one number, or one per feature."""
    tmins, tmaxs = _per_feature("tmin", tmin, n_features), _per_feature("tmax", tmax, n_features)
    return [lag_range(start, stop, sfreq) for start, stop in zip(tmins, tmaxs, strict=True)]


def _per_feature(name: str, value: float | Sequence[float], n_features: int) -> list[float]:
    if np.ndim(value) == 0:
        return [value] * n_features  # type: ignore[list-item]
    values = list(value)  # type: ignore[arg-type]
    if len(values) != n_features:
        raise ValueError(f"{name}: expected one number, or one per feature ({n_features}), got {len(values)}.")
    return values


def pad(x: Array, lags: range, value: Array, xp: Any) -> tuple[Array, int]:
    """Features in rows, with room for every lag on both sides.

    Parameters
    ----------
    x : array, shape (n_times, n_features)
    lags : range
    value : array, shape (n_features,)
        What stands outside the recording.

    Returns
    -------
    padded : array, shape (n_features, n_padded)
    start : int
        Column of `padded` that holds sample 0 of the first lag.
    """
    before, after = max(lags[-1], 0), max(-lags[0], 0)
    ones = xp.ones((1, max(before, after)), dtype=x.dtype, device=x.device) * value[:, None]
    return xp.concat([ones[:, :before], x.T, ones[:, :after]], axis=1), before - lags[0]


def lagged_rows(padded: Array, start: int, n_lags: int, first: int, stop: int, xp: Any) -> Array:
    """Transposed lagged design of samples `first` to `stop`, shape (n_features * n_lags, stop - first).

    Rows are plain copies of stretches of `padded`, so a block is filled at the speed of memory.
    """
    block = [padded[:, start - i + first : start - i + stop] for i in range(n_lags)]
    return xp.reshape(xp.stack(block, axis=1), (padded.shape[0] * n_lags, stop - first))


def bspline_basis(tmin: float, tmax: float, sfreq: float, spacing: float) -> np.ndarray:
    """Cubic B-splines along the lags of a window: smooth kernels from few numbers.

    Parameters
    ----------
    tmin, tmax : float
        The window in seconds, as in `lag_range`.
    sfreq : float
        Hertz.
    spacing : float
        Seconds between knots; the kernel can bend about this fast.

    Returns
    -------
    ndarray of float64, shape (n_lags, n_basis)

    Examples
    --------
    >>> basis = bspline_basis(0.0, 0.4, 100.0, spacing=0.1)
    >>> basis.shape, bool(np.allclose(basis.sum(axis=1), 1))
    ((41, 7), True)
    """
    from scipy.interpolate import BSpline

    lags = np.asarray(lag_range(tmin, tmax, sfreq), dtype=float)
    n_spans = max(1, round((lags[-1] - lags[0]) / sfreq / _checks.positive("spacing", spacing, "seconds")))
    if n_spans + 3 > len(lags):
        raise ValueError(f"spacing: {spacing:g} s gives more splines than there are lags ({len(lags)}). Widen it.")
    inner = np.linspace(lags[0], lags[-1], n_spans + 1)
    knots = np.concatenate([[lags[0]] * 3, inner, [lags[-1]] * 3])
    return np.asarray(BSpline.design_matrix(lags, knots, 3).toarray())
