"""Ridge solutions at a whole path of alphas from one decomposition, and what they predict, from moments alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
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
_EQUAL = 3e-6  # relative difference of eigenvalues below which two shrinkages are their mean to 1e-11


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

    def path(
        self, train: Moments, n_trials: int, alphas: np.ndarray, ratios: np.ndarray, whole: Moments | None = None
    ) -> Path:
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
        whole : Moments, optional
            Of all the data of which `train` is a part.
        """
        xp = array_namespace(train.x)
        scatter, cross, scale = self._standardised(train, ratios, whole)
        values, vectors = xp.linalg.eigh(scatter)
        values = xp.clip(values, 0.0, None)
        absolute = self._absolute(alphas, train, n_trials)
        _check_condition(values, float(absolute[0]), xp)
        return Path(
            train,
            basis=vectors / scale[..., :, None],
            rotated=xp.matrix_transpose(vectors) @ cross,
            values=values,
            alphas=xp.asarray(absolute, device=train.x.device),
        )

    def solve(self, train: Moments, n_trials: int, alphas: np.ndarray, whole: Moments | None = None) -> Solution:
        """Fit one alpha to each of several stacked training sets; cheaper than a path, and does not look for faults.

        Parameters
        ----------
        train : Moments
            Variants stacked along a first axis.
        n_trials : int
            How many trials they sum.
        alphas : ndarray, shape (n_stacked,)
            Positive, in the units of this model, the same for every band.
        whole : Moments, optional
            Of all the data of which `train` is a part.
        """
        xp = array_namespace(train.x)
        scatter, cross, scale = self._standardised(train, np.ones(self.design.n_bands), whole)
        absolute = xp.asarray(self._absolute(alphas, train, n_trials), device=train.x.device)
        penalty = absolute[:, None, None] * xp.eye(scatter.shape[-1], device=train.x.device)
        return Solution(train, xp.linalg.solve(scatter + penalty, cross) / scale[..., :, None])

    def _absolute(self, alphas: np.ndarray, train: Moments, n_trials: int) -> np.ndarray:
        """Alphas on the sum scale."""
        return alphas * ALPHA_UNITS[self.units](train.n, n_trials, self.design.sfreq)

    def _standardised(self, train: Moments, ratios: np.ndarray, whole: Moments | None) -> tuple[Array, Array, Array]:
        """Scatter and products with the outputs of columns divided by their scale, and that scale (..., n_columns)."""
        scatter, cross, _ = train.about_means
        scale = self._scale(train, ratios, train if whole is None else whole)
        rows = 1 / scale[..., :, None]
        scatter = scatter * rows
        scatter *= array_namespace(scale).matrix_transpose(rows)
        return scatter, cross * rows, scale

    def _scale(self, train: Moments, ratios: np.ndarray, whole: Moments) -> Array:
        """What each column is divided by, shape (..., n_columns)."""
        xp, device = array_namespace(train.x), train.x.device
        per_feature = xp.ones((self.design.n_features,), dtype=xp.float64, device=device)
        if self.units == "relative":
            per_feature = train.feature_sd()
            still = per_feature <= whole.feature_floor()
            if bool(xp.any(still)):
                constant = sorted({int(f) for f in xp.nonzero(still)[-1]})
                if self.design.numbers is not None:
                    constant = [self.design.numbers[f] for f in constant]
                raise ValueError(
                    f"Inputs {constant} (features of x, or channels of y for a backward model) are constant in a "
                    "training set, so nothing can be said of them. Drop them, or use fewer folds."
                )
        per_feature = per_feature * xp.asarray(np.sqrt(ratios[self.design.band]), device=device)
        return xp.take(per_feature, xp.asarray(self.design.feature, device=device), axis=-1)


@dataclass(frozen=True, eq=False)
class Path:
    """Ridge solutions at every alpha: ``basis @ (shrinkage[:, alpha, None] * rotated)``.

    Attributes
    ----------
    train : Moments
        What was fitted.
    basis : array, shape (..., n_columns, n_columns)
        Eigenvectors of the training scatter, for columns as they are (not standardised).
    rotated : array, shape (..., n_columns, n_channels)
        Products with the outputs, in that basis.
    values : array, shape (..., n_columns)
        Eigenvalues, ascending.
    alphas : array, shape (n_alphas,)
        On the sum scale, ascending.
    """

    train: Moments
    basis: Array
    rotated: Array
    values: Array
    alphas: Array

    @cached_property
    def shrinkage(self) -> Array:
        """One over eigenvalue plus alpha, shape (..., n_columns, n_alphas)."""
        return 1 / (self.values[..., :, None] + self.alphas)

    def at(self, position: np.ndarray) -> Solution:
        """The solution at one alpha, `position` of shape (..., 1), or at one for each channel, (..., n_channels)."""
        xp = array_namespace(self.basis)
        alphas = xp.take(self.alphas, xp.asarray(position.reshape(-1), device=self.basis.device), axis=0)
        alphas = xp.reshape(alphas, (*position.shape[:-1], 1, position.shape[-1]))
        return Solution(self.train, self.basis @ (self.rotated / (self.values[..., :, None] + alphas)))

    def predict(self, test: Moments) -> Sums:
        """Sums of the predictions of every alpha on held-out moments."""
        p, py, of_train = (
            self._products(columns) for columns in (test.x[..., :, None], test.xy, self.train.x[..., :, None])
        )
        return _about_intercept(test, p, self._squares(test.xx), py, (self.train.y - of_train) / self.train.n)

    def r(self, test: Moments) -> Array:
        """Correlation of the predictions of every alpha with the outputs of held-out moments; see `Sums.score`."""
        xp = array_namespace(self.basis)
        scatter, cross, y_scatter = test.about_means
        squares = self._squares(scatter) * y_scatter
        moving = (squares > 0) & ~xp.isnan(self.train.about_means[2])
        r = self._products(cross) / xp.sqrt(xp.where(moving, squares, xp.ones_like(squares)))
        return xp.where(moving, r, xp.full_like(r, xp.nan))

    def _products(self, columns: Array) -> Array:
        """Weights times `columns` (..., n_columns, n_channels or 1), summed, shape (..., n_alphas, n_channels)."""
        turned = array_namespace(self.basis).matrix_transpose(self.basis) @ columns
        return _by_alpha(self.shrinkage, turned * self.rotated)

    def _squares(self, products: Array) -> Array:
        """Weights on both sides of `products` (..., n_columns, n_columns), shape (..., n_alphas, n_channels).

        With ``s = shrinkage[:, alpha]``, eigenvalues ``v`` and the products in the basis ``Q``, this is ``Σ_kl Q_kl r_k
        r_l s_k s_l``. Since ``s_k s_l = (s_k - s_l) / (v_l - v_k)``, one product of `rotated` with ``N_kl = Q_kl /
        (v_l - v_k)``, which is antisymmetric, serves every alpha: ``2 Σ_k s_k r_k (N r)_k``. Antisymmetry also lets the
        same constant be taken from every ``s_k`` first, which keeps the digits. Where eigenvalues are equal, so are
        shrinkages.
        """
        xp = array_namespace(self.basis)
        turned = xp.matrix_transpose(self.basis) @ products @ self.basis
        same, inverse = self._gaps
        if same is None:
            squares = _by_alpha(self._square * xp.linalg.diagonal(turned)[..., :, None], self._rotated_square)
        else:
            squares = _by_alpha(self._square, self.rotated * ((turned * same) @ self.rotated))
        turned *= inverse
        unlike = turned @ self.rotated
        unlike *= self.rotated
        squares += _by_alpha(self._twice_fall, unlike)
        return squares

    @cached_property
    def _gaps(self) -> tuple[Array | None, Array]:
        """Which eigenvalues are equal (None: each to itself only), and one over the differences of the others."""
        xp = array_namespace(self.values)
        earlier, later = self.values[..., :, None], self.values[..., None, :]
        sizes, difference = self.values + self.alphas[0], later - earlier
        steps = self.values[..., 1:] - self.values[..., :-1]
        if bool(xp.all(steps > _EQUAL * (sizes[..., 1:] + sizes[..., :-1]))):
            own = xp.arange(self.values.shape[-1], device=self.values.device)
            difference[..., own, own] = xp.inf
            return None, xp.reciprocal(difference)
        same = xp.abs(difference) <= _EQUAL * (sizes[..., :, None] + sizes[..., None, :])
        return xp.astype(same, xp.float64), xp.reciprocal(xp.where(same, xp.full_like(difference, xp.inf), difference))

    @cached_property
    def _twice_fall(self) -> Array:
        """Twice the shrinkage beyond that of the largest eigenvalue, shape (..., n_columns, n_alphas)."""
        last = self.values[..., -1:, None]
        return 2 * (last - self.values[..., :, None]) * self.shrinkage / (last + self.alphas)

    @cached_property
    def _square(self) -> Array:
        return self.shrinkage**2

    @cached_property
    def _rotated_square(self) -> Array:
        return self.rotated**2


@dataclass(frozen=True, eq=False)
class Solution:
    """Ridge solution at one alpha, or at one for each channel.

    Attributes
    ----------
    train : Moments
        What was fitted.
    weights : array, shape (..., n_columns, n_channels)
    """

    train: Moments
    weights: Array

    def predict(self, test: Moments) -> Sums:
        """Sums of the predictions on held-out moments, for one 'alpha'."""
        xp = array_namespace(self.weights)
        p, of_train = test.x[..., None, :] @ self.weights, self.train.x[..., None, :] @ self.weights
        py = xp.sum(test.xy * self.weights, axis=-2)[..., None, :]
        pp = xp.sum((test.xx @ self.weights) * self.weights, axis=-2)[..., None, :]
        return _about_intercept(test, p, pp, py, (self.train.y - of_train) / self.train.n)


def _about_intercept(test: Moments, p: Array, pp: Array, py: Array, intercept: Array) -> Sums:
    """Sums of predictions with their intercepts (..., n_alphas, n_channels), from those without."""
    return Sums(
        test.n,
        test.y,
        test.yy,
        p + test.n * intercept,
        pp + 2 * intercept * p + test.n * intercept**2,
        py + intercept * test.y,
    )


def _by_alpha(by_alpha: Array, by_channel: Array) -> Array:
    """Sums over the first of two axes, shape (..., n_alphas, n_channels)."""
    return array_namespace(by_alpha).matrix_transpose(by_alpha) @ by_channel


def _check_condition(values: Array, alpha: float, xp: Any) -> None:
    if bool(xp.all(values[..., 0] + alpha > _SINGULAR * values[..., -1])):
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
