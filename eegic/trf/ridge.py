"""Ridge solutions for a whole path of alphas from one decomposition, and their scores, from moments alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from eegic import _checks
from eegic.trf.design import Design
from eegic.trf.moments import Moments

Array = Any

# factor from the unit to the sum scale, on which w = inv(X'X + alpha I) X'y: (samples, trials, sfreq) -> factor
ALPHA_UNITS: dict[str, Callable[[int, int, float], float]] = {
    "relative": lambda n_samples, n_trials, sfreq: n_samples,
    "mtrf": lambda n_samples, n_trials, sfreq: n_trials * sfreq,
    "toolbox": lambda n_samples, n_trials, sfreq: sfreq,
    "absolute": lambda n_samples, n_trials, sfreq: 1.0,
}
_FLAT = 1e-13  # a variance below this share of the mean square is rounding


def check_alphas(alphas: object) -> np.ndarray:
    """Return the grid as sorted, distinct, non-negative float64, shape (n_alphas,)."""
    grid = _checks.real_array("alphas", np.atleast_1d(np.asarray(alphas)), 1, axes="(n_alphas,)")
    if not len(grid):
        raise ValueError("alphas: expected at least one, got an empty grid. Try np.logspace(-4, 3, 15).")
    if not np.isfinite(grid).all() or (grid < 0).any():
        raise ValueError(f"alphas: expected finite numbers that are not negative, got {grid.tolist()}.")
    return np.unique(grid)


def check_ratios(ratios: object, n_bands: int) -> np.ndarray:
    """Return one finite positive float64 per band, shape (n_bands,)."""
    array = _checks.real_array("ratios", ratios, 1, axes="(n_bands,)")
    if len(array) != n_bands or not (np.isfinite(array).all() and (array > 0).all()):
        raise ValueError(f"ratios: expected one positive number per band ({n_bands}), got {array.tolist()}.")
    return array


@dataclass(frozen=True, eq=False)
class Ridge:
    """How strongly which column is penalised.

    Attributes
    ----------
    design : Design
    units : str
        A key of `ALPHA_UNITS`. ``relative`` acts on features scaled to unit variance in the training data.
    """

    design: Design
    units: str

    def __post_init__(self) -> None:
        _checks.one_of("alpha_units", self.units, ALPHA_UNITS)

    def path(self, train: Moments, n_trials: int, alphas: np.ndarray, ratios: np.ndarray) -> Array:
        """Solutions at every alpha.

        Parameters
        ----------
        train : Moments
            Of the training data, in the columns of the design.
        n_trials : int
            How many trials they sum.
        alphas : ndarray, shape (n_alphas,)
            In the units of this model.
        ratios : ndarray, shape (n_bands,)
            Alpha of each band as a multiple of `alphas`.

        Returns
        -------
        array, shape (n_columns, n_alphas, n_channels)
            Solutions for the columns as they are (not standardised).
        """
        xp = array_namespace(train.x)
        device = train.x.device
        scatter, cross = train.centred()
        scale = self._scale(train, ratios, xp)
        if scale is not None:
            scatter, cross = scatter / (scale[:, None] * scale), cross / scale[:, None]
        values, vectors = xp.linalg.eigh(scatter)
        values = xp.clip(values, 0.0, None)
        absolute = alphas * ALPHA_UNITS[self.units](train.n, n_trials, self.design.sfreq)
        _check_condition(float(values[0]), float(values[-1]), float(absolute[0]))
        damping = values[:, None] + xp.asarray(absolute, device=device)
        coefficients = (vectors.T @ cross)[:, None, :] / damping[:, :, None]
        flat = vectors @ xp.reshape(coefficients, (coefficients.shape[0], -1))
        flat = flat if scale is None else flat / scale[:, None]
        return xp.reshape(flat, tuple(coefficients.shape))

    def _scale(self, train: Moments, ratios: np.ndarray, xp: Any) -> Array | None:
        """What each column is divided by, shape (n_columns,), or None for nothing."""
        if self.units != "relative" and (ratios == 1).all():
            return None
        device = train.x.device
        per_feature = xp.ones((self.design.n_features,), dtype=xp.float64, device=device)
        if self.units == "relative":
            per_feature = train.feature_sd()
            constant = [int(f) for f in xp.nonzero(per_feature <= 1e-12 * train.feature_size())[0]]
            if constant:
                raise ValueError(
                    f"x: features {constant} are constant in a training set, so nothing can be said of them. "
                    "Drop them, or use fewer folds."
                )
        per_feature = per_feature * xp.asarray(np.sqrt(ratios[self.design.band]), device=device)
        return xp.take(per_feature, xp.asarray(self.design.feature, device=device), axis=0)


def intercepts(train: Moments, solutions: Array) -> Array:
    """Unpenalised intercepts, shape (n_alphas, n_channels), about the origin of the moments."""
    xp = array_namespace(solutions)
    flat = xp.reshape(solutions, (solutions.shape[0], -1))
    return (train.y - xp.reshape(train.x @ flat, tuple(solutions.shape[1:]))) / train.n


@dataclass(frozen=True, eq=False)
class Sums:
    """What any score of a prediction needs; they add over trials, whatever model predicted each.

    Attributes
    ----------
    n : int
        Samples.
    y, yy : array, shape (n_channels,)
        Sums and sums of squares of the outputs.
    p, pp, py : array, shape (n_alphas, n_channels)
        Sums of the predictions, their squares, and their products with the outputs.
    """

    n: int
    y: Array
    yy: Array
    p: Array
    pp: Array
    py: Array

    def __add__(self, other: Sums) -> Sums:
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Sums(*(mine + theirs for mine, theirs in pairs))

    def score(self, metric: str) -> Array:
        """Score of every alpha and channel, shape (n_alphas, n_channels); NaN where it is not defined.

        Parameters
        ----------
        metric : {"r", "r2", "mse"}
        """
        xp = array_namespace(self.p)
        nan = xp.asarray(float("nan"), dtype=xp.float64, device=self.p.device)
        y_scatter = self.yy - self.y**2 / self.n
        alive = y_scatter > _FLAT * self.yy
        error = xp.clip(self.yy - 2 * self.py + self.pp, 0.0, None)
        if metric == "mse":
            return xp.where(alive, error / self.n, nan)
        safe = xp.where(alive, y_scatter, xp.ones_like(y_scatter))
        if metric == "r2":
            return xp.where(alive, 1 - error / safe, nan)
        p_scatter = self.pp - self.p**2 / self.n
        moving = alive & (p_scatter > _FLAT * self.pp)
        product = xp.where(moving, p_scatter, xp.ones_like(p_scatter)) * safe
        return xp.where(moving, (self.py - self.p * self.y / self.n) / xp.sqrt(product), nan)


METRICS = ("r", "r2", "mse")


def predict_sums(test: Moments, solutions: Array, intercept: Array) -> Sums:
    """Sums of the predictions of `solutions` (n_columns, n_alphas, n_channels) on held-out moments."""
    xp = array_namespace(solutions)
    shape = tuple(solutions.shape)
    flat = xp.reshape(solutions, (shape[0], -1))
    p = xp.reshape(test.x @ flat, shape[1:])
    pp = xp.reshape(xp.sum(flat * (test.xx @ flat), axis=0), shape[1:])
    py = xp.sum(solutions * test.xy[:, None, :], axis=0)
    return Sums(
        test.n,
        test.y,
        test.yy,
        p + test.n * intercept,
        pp + 2 * intercept * p + test.n * intercept**2,
        py + intercept * test.y,
    )


def _check_condition(smallest: float, largest: float, alpha: float) -> None:
    if smallest + alpha > 1e-12 * largest:
        return
    if alpha <= 1e-12 * largest and smallest <= 1e-12 * largest and alpha == 0:
        raise ValueError(
            "alpha 0 has no unique solution here: the lagged features are collinear, or there are more columns than "
            "samples. Use an alpha above 0, or drop a feature."
        )
    warnings.warn(
        f"The lagged features are nearly collinear (condition number above 1e12 at alpha {alpha:.3g} on the sum "
        "scale); the smallest alphas of the grid lose digits. Raise them.",
        stacklevel=4,
    )
