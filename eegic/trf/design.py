"""From checked trials to moments in the coordinates in which every column is penalised alike.

Lag windows, bases along lags and smoothness penalties are all linear maps of the columns of the lagged design. They are
applied once to the moments; what follows is plain ridge, and `Design.weights` leads back to kernels.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from eegic import _checks
from eegic.trf import lags as lagging
from eegic.trf import moments as summing
from eegic.trf.inputs import Trials, check_trials, reach
from eegic.trf.moments import Moments, Origin

Array = Any
_STRIDE = 16  # every so many samples enter the origin
_FLOOR = 1e-4  # share of plain ridge in the smoothness penalty, which alone lets constant kernels go free


@dataclass(frozen=True, eq=False)
class Design:
    """Which columns a model has.

    Attributes
    ----------
    lags : range
        Every lag any feature uses, in samples.
    sfreq : float
        Hertz.
    feature : ndarray of int, shape (n_columns,)
        The feature each column belongs to.
    columns : ndarray of float64, shape (n_features * n_lags, n_columns), or None
        Map from the columns to kernels; None is the identity.
    band : ndarray of int, shape (n_features,)
        The band each feature is penalised with.
    numbers : sequence of int, shape (n_features,), optional
        What messages call the features: by default their positions.
    """

    lags: range
    sfreq: float
    feature: np.ndarray
    columns: np.ndarray | None
    band: np.ndarray
    numbers: Sequence[int] | None = None

    @property
    def n_features(self) -> int:
        """Number of features."""
        return len(self.band)

    @property
    def n_bands(self) -> int:
        """Number of bands."""
        return int(self.band.max()) + 1

    def select(self, features: Sequence[int]) -> Design:
        """The columns of some of the features, in ascending order; bands are counted anew."""
        at = np.flatnonzero(np.isin(self.feature, features))
        rows = np.concatenate([np.arange(f * len(self.lags), (f + 1) * len(self.lags)) for f in features])
        columns = None if self.columns is None else self.columns[np.ix_(rows, at)]
        _, band = np.unique(self.band[features], return_inverse=True)
        numbers = features if self.numbers is None else [self.numbers[f] for f in features]
        return Design(self.lags, self.sfreq, np.searchsorted(features, self.feature[at]), columns, band, numbers)

    def project(self, moments: Moments, xp: Any) -> Moments:
        """Moments of the plain lagged design, in the columns of this one."""
        if self.columns is None:
            return moments
        return moments.project(xp.asarray(self.columns, device=moments.x.device))

    def weights(self, solution: Array, xp: Any) -> Array:
        """Kernels (n_features, n_lags, ...) of a solution (n_columns, ...)."""
        if self.columns is not None:
            trailing = tuple(solution.shape[1:])
            columns = xp.asarray(self.columns, device=solution.device)
            flat = columns @ xp.reshape(solution, (solution.shape[0], -1))
            solution = xp.reshape(flat, (columns.shape[0], *trailing))
        return xp.reshape(solution, (self.n_features, len(self.lags), *tuple(solution.shape[1:])))


def build(
    n_features: int,
    sfreq: float,
    tmin: float | Sequence[float],
    tmax: float | Sequence[float],
    *,
    penalty: str = "ridge",
    basis: object = None,
    bands: Sequence[int] | None = None,
) -> Design:
    """Lay out the columns of a model.

    Parameters
    ----------
    n_features : int
    sfreq : float
        Hertz.
    tmin, tmax : float or sequence of float
        Window in seconds, or one window per feature.
    penalty : {"ridge", "smooth"}
    basis : array_like, shape (n_lags, n_basis), or a sequence of one array per feature, optional
        Kernels are combinations of its columns; one row per lag of the (feature's) window.
    bands : sequence of int, shape (n_features,), optional
        The band of each feature, counted from 0; by default one band.

    Returns
    -------
    Design
    """
    _checks.one_of("penalty", penalty, ("ridge", "smooth"))
    sfreq = _checks.positive("sfreq", sfreq, "hertz")
    ranges = lagging.windows(tmin, tmax, sfreq, n_features)
    lags = range(min(r[0] for r in ranges), max(r[-1] for r in ranges) + 1)
    bases = _bases(basis, ranges)
    band = _bands(bands, n_features)
    if penalty == "ridge" and all(r == lags for r in ranges) and basis is None:
        return Design(lags, sfreq, np.repeat(np.arange(n_features), len(lags)), None, band)
    blocks = [_feature_columns(r, lags, b, penalty) for r, b in zip(ranges, bases, strict=True)]
    widths = [block.shape[1] for block in blocks]
    columns = np.zeros((n_features * len(lags), sum(widths)))
    for f, (block, stop) in enumerate(zip(blocks, np.cumsum(widths), strict=True)):
        columns[f * len(lags) : (f + 1) * len(lags), stop - block.shape[1] : stop] = block
    return Design(lags, sfreq, np.repeat(np.arange(n_features), widths), columns, band)


def lay_out(
    x: object,
    y: object,
    sfreq: float,
    tmin: float | Sequence[float],
    tmax: float | Sequence[float],
    *,
    penalty: str,
    basis: object,
    bands: Sequence[int] | None,
    masks: Sequence[object] | None,
    backward: bool,
) -> tuple[Trials, Design]:
    """Check the trials and lay out the columns of the model; a backward model exchanges inputs and outputs."""
    trials = check_trials(x, y, masks)
    if backward:
        if np.ndim(tmin) or np.ndim(tmax):
            raise ValueError("tmin, tmax: a backward model has one window for all channels. Give one number for each.")
        trials, tmin, tmax = trials.reversed(), -tmax, -tmin  # type: ignore[operator]
    _check_lengths(trials.lengths, lagging.windows(tmin, tmax, sfreq, trials.n_features), sfreq)
    design = build(trials.n_features, sfreq, tmin, tmax, penalty=penalty, basis=basis, bands=bands)
    n_samples = sum(trials.lengths)
    if len(design.feature) > n_samples:
        warnings.warn(
            f"The model has more columns ({len(design.feature)}) than there are samples ({n_samples}); the penalty "
            "decides most of it.",
            stacklevel=3,
        )
    return trials, design


@dataclass(frozen=True, eq=False)
class Recording:
    """Trials ready to be summed in the columns of a design.

    Attributes
    ----------
    trials : Trials
    design : Design
    keep : list of array of bool, each (n_times,)
        Samples to use: neither masked nor within reach of a NaN, whatever features a model selects later.
    origin : Origin
        About which all moments are taken.
    """

    trials: Trials
    design: Design
    keep: list[Array]
    origin: Origin

    @classmethod
    def of(cls, trials: Trials, design: Design) -> Recording:
        """Find the usable samples of every trial, or say which has none."""
        xp = trials.xp
        keep = [reach(x, k, design.lags, xp) for x, k in zip(trials.x, trials.keep, strict=True)]
        for i, k in enumerate(keep):
            if not bool(xp.any(k)):
                raise ValueError(f"Trial {i} has no sample left after masks and NaN. Drop the trial.")
        return cls(trials, design, keep, Origin(_mean(trials.x, xp), _mean(trials.y, xp)))

    def moments(self, trial: int, first: int, stop: int, x: Array | None = None) -> Moments:
        """Moments of a stretch of a trial, or what they would be with other features `x` in that trial."""
        x, y = self.trials.x[trial] if x is None else x, self.trials.y[trial]
        part = summing.compute(x, y, self.design.lags, self.keep[trial], self.origin, first=first, stop=stop)
        if part.n < 2:
            raise ValueError(f"Samples {first} to {stop} of trial {trial} are all left out. Use fewer folds.")
        return self.design.project(part, self.trials.xp)


def side_by_side(first: Array, second: Array) -> Array:
    """Features of both, for one trial, shape (n_times, n_first + n_second)."""
    return array_namespace(first).concat([first, second], axis=1)


def _check_lengths(lengths: Sequence[int], ranges: Sequence[range], sfreq: float) -> None:
    kernel = max(r[-1] for r in ranges) - min(r[0] for r in ranges) + 1
    for i, length in enumerate(lengths):
        if length < kernel:
            raise ValueError(
                f"Trial {i} lasts {length / sfreq:.2f} s, shorter than the kernel of {kernel / sfreq:.2f} s. tmin and "
                "tmax are seconds: narrow them, or drop the trial."
            )


def _mean(arrays: list[Array], xp: Any) -> Array:
    """Mean of each column over some of the known samples: any constant near it does, so a few of them are enough."""
    arrays = [a[::_STRIDE] for a in arrays]
    plain = sum(xp.sum(a, axis=0) for a in arrays) / sum(a.shape[0] for a in arrays)
    if not bool(xp.any(xp.isnan(plain))):
        return plain
    known = [~xp.isnan(a) for a in arrays]
    sums = [xp.sum(xp.where(k, a, xp.zeros_like(a)), axis=0) for a, k in zip(arrays, known, strict=True)]
    counts = sum(xp.sum(xp.astype(k, xp.float64), axis=0) for k in known)
    return sum(sums) / xp.clip(counts, 1.0, None)


def _bases(basis: object, ranges: list[range]) -> list[np.ndarray | None]:
    if basis is None:
        return [None] * len(ranges)
    items = list(basis) if isinstance(basis, (list, tuple)) else [basis] * len(ranges)
    if len(items) != len(ranges):
        raise ValueError(f"basis: expected one array, or one per feature ({len(ranges)}), got {len(items)}.")
    return [_basis(item, len(r), f) for f, (item, r) in enumerate(zip(items, ranges, strict=True))]


def _basis(item: object, n_lags: int, feature: int) -> np.ndarray | None:
    if item is None:
        return None
    array = _checks.real_array(f"basis, feature {feature}", item, 2, axes="(n_lags, n_basis)")
    if not np.isfinite(array).all():
        raise ValueError(f"basis, feature {feature}: expected finite numbers, got NaN or infinity.")
    if len(array) != n_lags:
        raise ValueError(f"basis, feature {feature}: expected one row per lag ({n_lags}), got {len(array)}.")
    if np.linalg.matrix_rank(array) < array.shape[1]:
        raise ValueError(f"basis, feature {feature}: its {array.shape[1]} columns are not independent. Drop some.")
    return array


def _bands(bands: Sequence[int] | None, n_features: int) -> np.ndarray:
    band = np.zeros(n_features, int) if bands is None else np.asarray(bands)
    used = np.unique(band)
    if band.shape != (n_features,) or band.dtype.kind != "i" or not np.array_equal(used, np.arange(len(used))):
        raise ValueError(
            f"bands: expected the band of each of the {n_features} features, counted from 0 without gaps "
            f"(e.g. [0, 0, 1]), got {bands!r}."
        )
    return band


def _feature_columns(own: range, lags: range, basis: np.ndarray | None, penalty: str) -> np.ndarray:
    """Map from penalised coordinates to the kernel of one feature over all lags, shape (n_lags, n_new_columns)."""
    place = np.eye(len(lags))[:, own[0] - lags[0] : own[-1] - lags[0] + 1]
    kernels = place if basis is None else place @ basis
    inner = np.eye(len(own)) if basis is None else basis
    root = np.linalg.cholesky(inner.T @ _penalty(len(own), penalty) @ inner)
    return np.linalg.solve(root, kernels.T).T  # kernels @ inv(root).T: |coordinates|^2 is the penalty of the kernel


def _penalty(n_lags: int, penalty: str) -> np.ndarray:
    if penalty == "ridge":
        return np.eye(n_lags)
    steps = np.diff(np.eye(n_lags), axis=0)
    return 0.5 * steps.T @ steps + _FLOOR * np.eye(n_lags)
