"""Is the mean above zero for other participants and other stimuli at once?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eegic import _checks
from eegic.stats.flips import ALTERNATIVES

_COMPONENTS = ("participant", "stimulus", "residual")
_FLAT = 1e-12  # of the largest value: a smaller error is rounding


@dataclass(frozen=True, eq=False)
class CrossedMean:
    """Mean of a table of participants and stimuli, both drawn at random. `crossed_mean` makes it.

    Attributes
    ----------
    mean : float
        Over all cells, in the unit of the table.
    se : float
        Its standard error over other participants and other stimuli.
    t : float
        ``mean / se``.
    df : float
        Degrees of freedom of t, after Satterthwaite.
    p : float
        p-value of t.
    participant, stimulus, residual : float
        Components of the variance of one cell: between participants, between stimuli, and the rest, noise included.
        Estimates below 0 are given as 0.
    clipped : tuple of str
        Names of the components whose estimates were below 0.
    n_participants, n_stimuli : int
        Size of the table.
    alternative : {"greater", "less", "two-sided"}
        Direction that was tested.
    """

    mean: float
    se: float
    t: float
    df: float
    p: float
    participant: float
    stimulus: float
    residual: float
    clipped: tuple[str, ...]
    n_participants: int
    n_stimuli: int
    alternative: str

    def __repr__(self) -> str:
        test = f"{self.mean:.3g} ± {self.se:.2g}, t({self.df:.1f}) = {self.t:.2f}, p {self.p:.2g} {self.alternative}"
        parts = [f"{name} {getattr(self, name):.2g}{' (clipped)' * (name in self.clipped)}" for name in _COMPONENTS]
        size = f"{self.n_participants} participants x {self.n_stimuli} stimuli"
        return f"CrossedMean({test}; {size}; variance: {', '.join(parts)})"


def crossed_mean(table: object, *, alternative: str = "greater") -> CrossedMean:
    """Test whether the mean is zero in the population of participants and in that of stimuli.

    When all participants hear the same few stimuli, a test over participants says nothing about other stimuli: these do
    not become more by adding participants. Here both count as drawn at random.

    Parameters
    ----------
    table : array_like, shape (n_participants, n_stimuli)
        A value of every participant for every stimulus, at least two of each: the corrected gain of each trial, say,
        or its mean over the repeats of a stimulus.
    alternative : {"greater", "less", "two-sided"}
        What the mean is if something is there.

    Returns
    -------
    CrossedMean
        t and p are NaN where the standard error is zero.

    Notes
    -----
    A cell is the sum of the mean, a participant, a stimulus and a residual, all random and independent. With mean
    squares M of S participants, K stimuli and the residual (what the two do not explain), the variance of the mean is
    estimated without bias by ``v = (Mp + Ms - Mr) / (S K)``. Its degrees of freedom are those of the chi-squared
    distribution with the variance of v: ``(Mp + Ms - Mr)**2 / (Mp**2 / (S - 1) + Ms**2 / (K - 1) + Mr**2 / ((S - 1)
    (K - 1)))``.

    Where a component is estimated below zero (Mp or Ms below Mr), v would be too small; the larger of Mp and Ms then
    stands for the sum, with its own degrees of freedom. In simulated tables without an effect a test at .05 rejects
    .045 to .055 where participants and stimuli differ as much as cells do, down to .02 where neither differ.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> table = 1 + rng.standard_normal((30, 1)) + rng.standard_normal(6) + rng.standard_normal((30, 6))
    >>> test = crossed_mean(table)
    >>> print(f"{test.mean:.2f} ± {test.se:.2f}, t({test.df:.1f}) = {test.t:.2f}, p {test.p:.3f}")
    0.88 ± 0.27, t(10.1) = 3.21, p 0.005
    """
    _checks.one_of("alternative", alternative, ALTERNATIVES)
    values = _complete(table)
    (n_participants, n_stimuli), mean = values.shape, float(values.mean())
    rows, columns = values.mean(axis=1) - mean, values.mean(axis=0) - mean
    rest = values - mean - rows[:, None] - columns
    df = np.array([n_participants - 1, n_stimuli - 1, (n_participants - 1) * (n_stimuli - 1)])
    squares = np.array([n_stimuli * (rows**2).sum(), n_participants * (columns**2).sum(), (rest**2).sum()]) / df
    components = [(squares[0] - squares[2]) / n_stimuli, (squares[1] - squares[2]) / n_participants, squares[2]]
    clipped = tuple(name for name, component in zip(_COMPONENTS, components, strict=True) if component < 0)
    total, df_total = _total(squares, df)
    se = float(np.sqrt(total / values.size))
    if se <= _FLAT * np.abs(values).max():
        se, t, df_total, p = 0.0, np.nan, np.nan, np.nan
    else:
        t = mean / se
        p = _tail(t, df_total, alternative)
    participant, stimulus, residual = (max(0.0, float(component)) for component in components)
    return CrossedMean(
        mean, se, t, df_total, p, participant, stimulus, residual, clipped, n_participants, n_stimuli, alternative
    )


def _complete(table: object) -> np.ndarray:
    """Return the table as real numbers if no cell is missing and there are two of each at least, or say what lacks."""
    axes = "(n_participants, n_stimuli)"
    values = _checks.real_array("table", table, 2, axes=axes)
    if min(values.shape) < 2:
        raise ValueError(f"table: expected at least two participants and two stimuli {axes}, got shape {values.shape}.")
    missing = np.argwhere(~np.isfinite(values))
    if len(missing):
        row, column = (int(i) for i in missing[0])
        raise ValueError(
            f"table: expected a finite value in every cell, got {len(missing)} without, the first at row {row}, column "
            f"{column} (counted from 0). Average what can be averaged, leave out that row or column, or use "
            "`mixed_model`."
        )
    return values


def _total(squares: np.ndarray, df: np.ndarray) -> tuple[float, float]:
    """Variance of the mean times the number of cells, and its degrees of freedom."""
    if squares[:2].min() < squares[2]:
        larger = int(squares[:2].argmax())
        return float(squares[larger]), float(df[larger])
    total = squares[0] + squares[1] - squares[2]
    return float(total), float(total**2 / (squares**2 / df).sum()) if total > 0 else np.nan


def _tail(t: float, df: float, alternative: str) -> float:
    """p-value of t."""
    from scipy.special import stdtr

    sides = 2 if alternative == "two-sided" else 1
    return float(sides * stdtr(df, -ALTERNATIVES[alternative](np.array(t))))
