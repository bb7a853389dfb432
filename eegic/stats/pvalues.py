"""P-values from null distributions, single and corrected for all channels, and the levels that they can reach."""

from __future__ import annotations

import math

import numpy as np

from eegic import _checks
from eegic.stats.inputs import probability

TIE = 1e-9  # of a statistic, or of the spread of its null: a smaller difference is rounding


def p_value(observed: np.ndarray, null: np.ndarray) -> np.ndarray:
    """One-sided p-values from surrogates: the share of statistics, the observed one included, at least as large.

    Parameters
    ----------
    observed : ndarray, shape (...)
        Statistics; NaN where there is none.
    null : ndarray, shape (n_null, ...)
        The same statistics under each surrogate.

    Returns
    -------
    ndarray, shape (...)
        ``(b + 1) / (n_null + 1)``, never 0; exact when the surrogates with the observed data are the whole group of
        exchanges. NaN where `observed` is NaN.

    Examples
    --------
    >>> p_value(np.array([2.0, 0.0]), np.array([[1.0, 1.0], [3.0, -1.0], [0.0, 0.0]]))
    array([0.5 , 0.75])
    """
    return unchecked_p_value(*checked(observed, null))


def error_of_corrected(null: np.ndarray) -> np.ndarray:
    """Standard error of a statistic minus the mean of its null, if nothing is there.

    Parameters
    ----------
    null : ndarray, shape (n_null, ...)

    Returns
    -------
    ndarray, shape (...)
        NaN if there is one surrogate.

    Examples
    --------
    >>> error_of_corrected(np.array([[1.0], [2.0], [3.0]])).round(3)
    array([1.155])
    """
    if len(null) < 2:
        return np.full(null.shape[1:], np.nan)
    return np.asarray(null.std(axis=0, ddof=1) * np.sqrt(1 + 1 / len(null)))


def max_statistic(observed: np.ndarray, null: np.ndarray) -> np.ndarray:
    """P-values corrected for all channels at once: each channel against the largest of all channels.

    Channels are brought to one scale first, by the mean and standard deviation over surrogates and the observed data
    together, so noisy channels do not set the bar for quiet ones. Channels that are NaN or do not vary take no part.

    Parameters
    ----------
    observed : ndarray, shape (n_channels,)
    null : ndarray, shape (n_null, n_channels)

    Returns
    -------
    ndarray, shape (n_channels,)
    """
    observed, null = checked(_checks.real_array("observed", observed, 1, axes="(n_channels,)"), null)
    pooled = np.concatenate([observed[None], null])
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (pooled - pooled.mean(axis=0)) / pooled.std(axis=0)
    usable = np.isfinite(z).all(axis=0)
    if not usable.any():
        return np.full(len(observed), np.nan)
    largest = z[1:, usable].max(axis=1)
    return unchecked_p_value(np.where(usable, z[0], np.nan), largest[:, None])


def attainable(level: float, n_surrogates: int) -> float:
    """Return the largest p-value not above the level that so many surrogates can give, or 0.

    p-values are multiples of ``1 / (n_surrogates + 1)``. A test at a level between two of them rejects as often as one
    at the lower: that one is the level to compare a rate with, or to base a `prevalence` on.

    Parameters
    ----------
    level : float
        Between 0 and 1.
    n_surrogates : int
        0 or more.

    Returns
    -------
    float

    Examples
    --------
    >>> attainable(0.05, 99), attainable(0.05, 255), attainable(0.05, 9)
    (0.05, 0.046875, 0.0)
    """
    size = _checks.count("n_surrogates", n_surrogates, minimum=0) + 1
    return math.floor(probability("level", level) * size + TIE) / size


def checked(observed: object, null: object) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays of real numbers, once there are surrogates and each looks like the observed statistics."""
    pair = []
    for name, value, axes in (("observed", observed, "(...)"), ("null", null, "(n_null, ...)")):
        pair.append(_checks.real_array(name, value, _checks.array(name, value, axes=axes).ndim, axes=axes))
    shape, found = pair[0].shape, pair[1].shape
    if found[1:] != shape or not found:
        wanted = ", ".join(map(str, ("n_null", *shape))) + ("" if shape else ",")
        turned = " Is it transposed? Pass `np.moveaxis(null, -1, 0)`." if found[:-1] == shape and found else ""
        raise ValueError(
            f"null: expected shape ({wanted}), a row per surrogate of what was observed, got {found}.{turned}"
        )
    if not found[0]:
        raise ValueError("null: expected at least one surrogate, got none.")
    return pair[0], pair[1]


def unchecked_p_value(observed: np.ndarray, null: np.ndarray) -> np.ndarray:
    """`p_value` of arrays that fit: `null` may also be (n_null, 1), one for all."""
    with np.errstate(invalid="ignore"):
        scale = np.fmax(np.abs(observed), np.std(null, axis=0))
    smaller = null < observed - TIE * scale  # an undefined surrogate is not smaller
    return np.where(np.isnan(observed), np.nan, (1 + (~smaller).sum(axis=0)) / (1 + len(null)))
