"""Is the mean over participants above zero? Signs of whole participants flipped, all columns at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eegic import _checks
from eegic.stats.inputs import participants, varies
from eegic.stats.pvalues import unchecked_p_value

CENTERS = ("mean", "trimmed", "median")
ALTERNATIVES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "greater": np.positive,
    "less": np.negative,
    "two-sided": np.abs,
}
_NUMBERS = 2_000_000  # that one step may hold: 16 MB
_ROUNDING = 1e-12  # of n: where z**2 comes nearer to n, t is infinite


@dataclass(frozen=True, eq=False)
class SignFlip:
    """Centres over participants and how often flipped signs give as much. `sign_flip` makes it.

    Attributes
    ----------
    center : ndarray, shape (...)
        Mean, 20 % trimmed mean or median over participants, in the unit of the values.
    t : ndarray, shape (...)
        Student's t of the mean. Of the other centres: the centre divided by its standard deviation over flips.
    p : ndarray, shape (...)
        p-value of each column on its own.
    p_maxt : ndarray, shape (...)
        The same, corrected for all columns by the largest of their statistics.
    n : ndarray of int, shape (...)
        Participants with a value.
    n_flips : int
        Patterns of signs that were compared; if `exact`, the observed one is among them.
    exact : bool
        True when they are all there are.
    alternative : {"greater", "less", "two-sided"}
        Direction that was tested.
    kind : {"mean", "trimmed", "median"}
        Which centre.
    entropy : int
        Seed of the flips.
    """

    center: np.ndarray
    t: np.ndarray
    p: np.ndarray
    p_maxt: np.ndarray
    n: np.ndarray
    n_flips: int
    exact: bool
    alternative: str
    kind: str
    entropy: int

    @property
    def p_min(self) -> float:
        """Smallest p-value that could have come out, where every participant has a value."""
        if not self.exact:
            return 1 / (self.n_flips + 1)
        return (2 if self.alternative == "two-sided" else 1) / self.n_flips

    def __repr__(self) -> str:
        tested = np.isfinite(self.p)
        least, most = (int(self.n[tested].min()), int(self.n[tested].max())) if tested.any() else (0, 0)
        people = f"{most} participants" if least == most else f"{least} to {most} participants"
        columns = f"{tested.sum()} of {tested.size} columns tested"
        smallest = f", smallest p_maxt {self.p_maxt[tested].min():.2g}" if tested.any() else ""
        flips = f"{'all ' if self.exact else ''}{self.n_flips} flips, p >= {self.p_min:.2g}"
        kind = "trimmed mean" if self.kind == "trimmed" else self.kind
        return f"SignFlip({kind} of {people}, {self.alternative}; {columns}{smallest}; {flips})"


def sign_flip(
    d: object,
    *,
    n: int = 10_000,
    alternative: str = "greater",
    center: str = "mean",
    rng: int | np.random.Generator | None = 0,
) -> SignFlip:
    """Test whether values of participants are centred at zero, in each column and corrected for all of them.

    If nothing is there, the sign of a participant is a matter of chance. So the signs are flipped, those of all columns
    of a participant together, and the p-value is the share of flips with a statistic at least as large.

    Parameters
    ----------
    d : array_like, shape (n_participants, ...)
        A value per participant whose null value is zero: corrected gains, never raw ones, which lie below zero when
        nothing is there. Any columns: channels, or models x channels. NaN where a participant lacks a value;
        participants without any value do not count.
    n : int
        Random flips. If there are no more than `n` in all, every one is compared, and p-values are exact.
    alternative : {"greater", "less", "two-sided"}
        What the centre is if something is there.
    center : {"mean", "trimmed", "median"}
        ``trimmed`` leaves out a fifth of the values at each end (rounded down); less moved by outliers.
    rng : int, Generator or None
        Seed of the flips. They do not depend on the columns.

    Returns
    -------
    SignFlip
        Arrays of the shape of a row of `d`. Columns with fewer than two values, or whose values are all equal, take no
        part: their t and p-values are NaN, and no other column is changed by them.

    Notes
    -----
    The test holds if participants are independent and errors are symmetric about zero. With skewed errors it is too
    strict in the direction of the long tail and too lenient in the other: look at `skewness` before testing ``less`` or
    ``two-sided``.

    p is ``(b + 1) / (n + 1)`` with b of n random flips at least as large, or the share of all flips, the observed one
    included. Statistics that are equal but for rounding count as at least as large.

    Flips leave the sum of squares q as it is, so t of the mean rises with ``z = sum / sqrt(q)``, and only the sum has
    to be computed anew: ``t = z sqrt((n - 1) / (n - z**2))``. Where columns differ in n, a large t says less the fewer
    participants there are; for `p_maxt` it is then carried to a standard normal deviate by its degrees of freedom.

    Examples
    --------
    >>> d = np.array([[0.2, -0.1], [0.3, 0.2], [0.1, -0.2], [0.4, 0.1], [0.2, 0.1]])
    >>> test = sign_flip(d)
    >>> test.p, test.p_maxt
    (array([0.03125, 0.5    ]), array([0.0625 , 0.65625]))
    >>> test
    SignFlip(mean of 5 participants, greater; 2 of 2 columns tested, smallest p_maxt 0.062; all 32 flips, p >= 0.031)
    """
    orient = ALTERNATIVES[_checks.one_of("alternative", alternative, ALTERNATIVES)]
    _checks.one_of("center", center, CENTERS)
    n, entropy = _checks.count("n", n), _checks.seed(rng)
    values = participants(d)
    if len(values) < 2:
        raise ValueError(
            f"d: expected values of at least two participants, got those of {len(values)}. "
            "One participant is tested against surrogates: see `p_value`."
        )
    shape, values = values.shape[1:], values.reshape(len(values), -1)
    signs, exact = _signs(len(values), n, entropy)
    centers = _centers(values, np.ones((1, len(values))), center)
    n_values = (~np.isnan(values)).sum(axis=0)
    arrays = centers, *_compared(values, signs, center, orient), n_values
    centers, t, p, p_maxt, n_values = (array.reshape(shape) for array in arrays)
    return SignFlip(centers, t, p, p_maxt, n_values, len(signs) + exact, exact, alternative, center, entropy)


def _compared(
    values: np.ndarray, signs: np.ndarray, center: str, orient: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Statistics of columns, their p-values, and those corrected for all columns."""
    n = (~np.isnan(values)).sum(axis=0)
    tested = np.flatnonzero((n > 1) & varies(values))
    unequal = center == "mean" and len(set(n[tested])) > 1
    t, p, p_maxt, score = np.full((4, len(n)), np.nan)
    largest = np.full(len(signs), -np.inf)
    width = max(1, _NUMBERS // len(signs))
    blocks = [tested[start : start + width] for start in range(0, len(tested), width)]
    for columns in blocks:
        some = values[:, columns]
        some = some / np.nanmax(np.abs(some), axis=0)  # squares of volts may be too small for floats
        observed, flipped = _standardised(some, signs, center)
        t[columns] = _student(some) if center == "mean" else observed
        p[columns] = unchecked_p_value(orient(observed), orient(flipped))
        if unequal:
            observed, flipped = (_deviate(z, n[columns]) for z in (observed, flipped))
        score[columns] = orient(observed)
        largest = np.fmax(largest, np.fmax.reduce(orient(flipped), axis=1))
    for columns in blocks:
        p_maxt[columns] = unchecked_p_value(score[columns], largest[:, None])
    return t, p, p_maxt


def _signs(n_participants: int, n: int, entropy: int) -> tuple[np.ndarray, bool]:
    """Signs of participants, shape (n_flips, n_participants), and whether they are all there are but the observed."""
    if 2**n_participants <= n:
        patterns = np.arange(1, 2**n_participants)[:, None] >> np.arange(n_participants)
        return (1 - 2 * (patterns & 1)).astype(np.int8), True
    drawn = np.random.default_rng(entropy).integers(0, 2, (n, n_participants), dtype=np.int8)
    return 2 * drawn - 1, False


def _standardised(values: np.ndarray, signs: np.ndarray, center: str) -> tuple[np.ndarray, np.ndarray]:
    """Centres of columns, as they are and under each flip, divided by their standard deviation over flips."""
    observed, flipped = (_centers(values, s, center) for s in (np.ones((1, len(values))), signs))
    if center == "mean":  # of all flips, also where only some are drawn: t depends on it
        spread = np.sqrt(np.nansum(values**2, axis=0)) / (~np.isnan(values)).sum(axis=0)
    else:
        spread = np.sqrt((observed[0] ** 2 + (flipped**2).sum(axis=0)) / (1 + len(signs)))
    with np.errstate(invalid="ignore"):  # the median of many zeros never moves
        return observed[0] / spread, flipped / spread


def _centers(values: np.ndarray, signs: np.ndarray, center: str) -> np.ndarray:
    """Centres of columns over the participants with a value, under each row of signs; (n_flips, n_columns)."""
    n = (~np.isnan(values)).sum(axis=0)
    filled = np.where(np.isnan(values), 0.0, values)
    cut = {"mean": 0 * n, "trimmed": n // 5, "median": (n - 1) // 2}[center]
    place = np.arange(len(values))
    kept = (place >= cut[:, None]) & (place < (n - cut)[:, None])
    centers = np.empty((len(signs), values.shape[1]))
    step = max(1, _NUMBERS // max(1, values.size))
    with np.errstate(invalid="ignore"):  # no value, no centre
        for start in range(0, len(signs), step):
            some = signs[start : start + step].astype(np.float64)
            if center == "mean":
                sums = some @ filled
            else:  # what is not known is sorted to the end
                sums = np.sort(some[:, None] * values.T, axis=2).sum(axis=2, where=kept)
            centers[start : start + step] = sums / kept.sum(axis=1)
    return centers


def _student(values: np.ndarray) -> np.ndarray:
    """Student's t of the mean of columns."""
    n = (~np.isnan(values)).sum(axis=0)
    return np.asarray(np.nanmean(values, axis=0) / np.nanstd(values, axis=0, ddof=1) * np.sqrt(n))


def _deviate(z: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Standard normal deviate that is as improbable as t of the mean of n values, from its z."""
    from scipy.special import ndtri, stdtr

    room = np.where(n - z**2 > _ROUNDING * n, n - z**2, 0.0)
    with np.errstate(divide="ignore"):
        t = np.abs(z) * np.sqrt((n - 1) / room)
    tail = np.maximum(stdtr(n - 1, -t), np.finfo(np.float64).tiny)  # an infinite t has the largest finite deviate
    return np.asarray(np.copysign(ndtri(tail), z))
