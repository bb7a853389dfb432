"""Ridge solutions at a whole path of alphas from one decomposition, and what they predict, from moments alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from eegic import _checks
from eegic.trf.design import Design
from eegic.trf.moments import Moments
from eegic.trf.scores import Sums

Array = Any

# factor from the unit to the sum scale, on which w = inv(X'X + alpha I) X'y: (samples, trials, sfreq) -> factor
ALPHA_UNITS: dict[str, Callable[[int, int, float], float]] = {
    "relative": lambda n_samples, n_trials, sfreq: n_samples,
    "mtrf": lambda n_samples, n_trials, sfreq: n_trials * sfreq,
    "toolbox": lambda n_samples, n_trials, sfreq: sfreq,
    "absolute": lambda n_samples, n_trials, sfreq: 1.0,
}
_SINGULAR = 1e-12  # of the largest eigenvalue


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

    def path(self, train: Moments, n_trials: int, alphas: np.ndarray, ratios: np.ndarray) -> Path:
        """Fit every alpha from one decomposition.

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
        """
        xp = array_namespace(train.x)
        scatter, cross = train.centred()
        scale = self._scale(train, ratios, xp)
        if scale is not None:
            scatter, cross = scatter / (scale[:, None] * scale), cross / scale[:, None]
        values, vectors = xp.linalg.eigh(scatter)
        values = xp.clip(values, 0.0, None)
        absolute = alphas * ALPHA_UNITS[self.units](train.n, n_trials, self.design.sfreq)
        _check_condition(float(values[0]), float(values[-1]), float(absolute[0]))
        return Path(
            train,
            basis=vectors if scale is None else vectors / scale[:, None],
            rotated=vectors.T @ cross,
            shrinkage=1 / (values[:, None] + xp.asarray(absolute, device=train.x.device)),
        )

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
                    f"Inputs {constant} (features of x, or channels of y for a backward model) are constant in a "
                    "training set, so nothing can be said of them. Drop them, or use fewer folds."
                )
        per_feature = per_feature * xp.asarray(np.sqrt(ratios[self.design.band]), device=device)
        return xp.take(per_feature, xp.asarray(self.design.feature, device=device), axis=0)


@dataclass(frozen=True, eq=False)
class Path:
    """Ridge solutions at every alpha: ``basis @ (shrinkage[:, alpha, None] * rotated)``.

    Attributes
    ----------
    train : Moments
        What was fitted.
    basis : array, shape (n_columns, n_columns)
        Eigenvectors of the training scatter, for columns as they are (not standardised).
    rotated : array, shape (n_columns, n_channels)
        Products with the outputs, in that basis.
    shrinkage : array, shape (n_columns, n_alphas)
        One over eigenvalue plus alpha.
    """

    train: Moments
    basis: Array
    rotated: Array
    shrinkage: Array

    @cached_property
    def coefficients(self) -> Array:
        """Solutions in the basis, shape (n_columns, n_alphas * n_channels)."""
        product = array_namespace(self.basis).einsum("ka,kc->kac", self.shrinkage, self.rotated)
        return array_namespace(product).reshape(product, (product.shape[0], -1))

    @cached_property
    def solutions(self) -> Array:
        """Weights of the columns, shape (n_columns, n_alphas * n_channels)."""
        return self.basis @ self.coefficients

    @cached_property
    def intercept(self) -> Array:
        """Unpenalised intercepts about the origin of the moments, shape (n_alphas, n_channels)."""
        return (self.train.y - self._product(self.train.x[:, None])) / self.train.n

    def at(self, position: np.ndarray) -> Path:
        """The path at one alpha, shape (1,), or at one alpha for each channel, shape (n_channels,)."""
        xp = array_namespace(self.basis)
        chosen = xp.take(self.shrinkage, xp.asarray(position, device=self.basis.device), axis=1)
        return replace(self, rotated=chosen * self.rotated, shrinkage=xp.ones_like(self.shrinkage[:, :1]))

    def predict(self, test: Moments) -> Sums:
        """Sums of the predictions of every alpha on held-out moments."""
        xp = array_namespace(self.basis)
        n_alphas, n_channels = self.shrinkage.shape[1], self.rotated.shape[1]
        # the test moments, turned into the basis, cost less than the weights where these are many
        if 2 * self.basis.shape[0] < n_alphas * n_channels:
            pp = _quadratic(self.basis.T @ test.xx @ self.basis, self.coefficients, xp)
        else:
            pp = _quadratic(test.xx, self.solutions, xp)
        pp = xp.reshape(pp, (n_alphas, n_channels))
        p = self._product(test.x[:, None])
        py = self._product(test.xy)
        intercept = self.intercept
        return Sums(
            test.n,
            test.y,
            test.yy,
            p + test.n * intercept,
            pp + 2 * intercept * p + test.n * intercept**2,
            py + intercept * test.y,
        )

    def _product(self, columns: Array) -> Array:
        """Sum over columns of weights times `columns` (n_columns, n_channels or 1), shape (n_alphas, n_channels)."""
        return self.shrinkage.T @ ((self.basis.T @ columns) * self.rotated)


def _quadratic(square: Array, vectors: Array, xp: Any) -> Array:
    """``v' square v`` of every column of `vectors`, with a quarter of the work saved by symmetry."""
    half = square.shape[0] // 2
    top, bottom = vectors[:half], vectors[half:]
    above = xp.concat([square[:half, :half], 2 * square[:half, half:]], axis=1) @ vectors
    below = square[half:, half:] @ bottom
    return xp.einsum("ij,ij->j", top, above) + xp.einsum("ij,ij->j", bottom, below)


def _check_condition(smallest: float, largest: float, alpha: float) -> None:
    if smallest + alpha > _SINGULAR * largest:
        return
    if alpha == 0:
        raise ValueError(
            "alpha 0 has no unique solution here: the lagged features are collinear, or there are more columns than "
            "samples. Use an alpha above 0, or drop a feature."
        )
    warnings.warn(
        f"The lagged features are nearly collinear (condition number above 1e12 at alpha {alpha:.3g} on the sum "
        "scale); the smallest alphas of the grid lose digits. Raise them.",
        stacklevel=4,
    )
