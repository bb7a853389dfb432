"""Second moments of a lagged design and its outputs: all that fitting and scoring ever need.

They add: the moments of two trials are the sum of theirs, and training moments are the total minus the test moments.
Samples are read once; their number does not enter anything that comes after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from operator import add, sub
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from eegic.trf import lags as lagging

Array = Any
FLAT = 1e-13  # a variance below this share of the mean square is rounding
_BLOCK_BYTES = 1_000_000  # a block of the lagged design stays near the processor


@dataclass(frozen=True, eq=False)
class Origin:
    """Constants subtracted before summing, the same in every trial; they keep digits and change no model.

    Attributes
    ----------
    x : array, shape (n_features,)
    y : array, shape (n_channels,)
    """

    x: Array
    y: Array

    def equals(self, other: Origin) -> bool:
        """Whether both are the same constants."""
        xp = array_namespace(self.x)
        pairs = ((self.x, other.x), (self.y, other.y))
        return all(a.shape == b.shape and bool(xp.all(a == b)) for a, b in pairs)


@dataclass(frozen=True, eq=False)
class Patch:
    """What of `Moments` depends on some columns: their ``x``, columns of ``xx``, rows of ``xy``, and ``features``.

    Several of one size can be stacked along a first axis.
    """

    x: Array
    xx: Array
    xy: Array
    features: Array

    def select(self, rows: np.ndarray, columns: np.ndarray, features: np.ndarray) -> Patch:
        """What depends on some of these columns, with some of all columns, these among them, as rows of ``xx``."""
        if len(columns) == self.x.shape[-1]:
            return self
        xp, device = array_namespace(self.x), self.x.device
        rows, columns, features = (xp.asarray(index, device=device) for index in (rows, columns, features))
        return Patch(
            xp.take(self.x, columns, axis=-1),
            xp.take(xp.take(self.xx, rows, axis=-2), columns, axis=-1),
            xp.take(self.xy, columns, axis=-2),
            xp.take(self.features, features, axis=-1),
        )

    @classmethod
    def stack(cls, patches: Sequence[Patch]) -> Patch:
        """Several of one size along a new first axis."""
        xp = array_namespace(patches[0].x)
        return cls(*(xp.stack(several) for several in zip(*(vars(patch).values() for patch in patches), strict=True)))


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over the samples of one stretch of recording, about `origin`.

    ``n_columns`` is ``n_features * n_lags`` for the plain lagged design, fewer after `project`. After `put`, what
    belongs to the design (``x``, ``xx``, ``xy``, ``features``) may have a first axis of variants, and everything
    computed from it has too.

    Attributes
    ----------
    n : int
        Samples used.
    x : array, shape (n_columns,)
        Sums of the design.
    y : array, shape (n_channels,)
        Sums of the outputs.
    xx : array, shape (n_columns, n_columns)
        Products of the design with itself.
    xy : array, shape (n_columns, n_channels)
        Products of the design with the outputs.
    yy : array, shape (n_channels,)
        Squares of the outputs.
    features : array, shape (2, n_features)
        Sums and sums of squares of the features without lags: what standardising needs.
    origin : Origin
    """

    n: int
    x: Array
    y: Array
    xx: Array
    xy: Array
    yy: Array
    features: Array
    origin: Origin

    def __add__(self, other: Moments) -> Moments:
        return self._combine(other, add)

    def __sub__(self, other: Moments) -> Moments:
        return self._combine(other, sub)

    def _combine(self, other: Moments, how: Callable[[Any, Any], Any]) -> Moments:
        if other.origin is not self.origin and not self.origin.equals(other.origin):
            raise ValueError("Moments about different origins do not add. Compute them with one `Origin`.")
        return Moments(
            how(self.n, other.n),
            how(self.x, other.x),
            how(self.y, other.y),
            how(self.xx, other.xx),
            how(self.xy, other.xy),
            how(self.yy, other.yy),
            how(self.features, other.features),
            self.origin,
        )

    def project(self, columns: Array) -> Moments:
        """Moments of the design ``X @ columns``, with `columns` of shape (n_columns, n_new_columns)."""
        back = columns.T
        return replace(self, x=back @ self.x, xx=back @ self.xx @ columns, xy=back @ self.xy)

    def select(self, columns: np.ndarray, features: np.ndarray) -> Moments:
        """Moments of some of the columns, which belong to some of the features."""
        xp = array_namespace(self.x)
        at, of = (xp.asarray(index, device=self.x.device) for index in (columns, features))
        return replace(
            self,
            x=xp.take(self.x, at, axis=0),
            xx=xp.take(xp.take(self.xx, at, axis=0), at, axis=1),
            xy=xp.take(self.xy, at, axis=0),
            features=xp.take(self.features, of, axis=1),
            origin=Origin(xp.take(self.origin.x, of, axis=0), self.origin.y),
        )

    def take(self, columns: slice, features: slice) -> Patch:
        """What of these moments depends on some of the columns."""
        return Patch(self.x[columns], self.xx[:, columns], self.xy[columns], self.features[:, features])

    def put(self, patch: Patch) -> Moments:
        """These moments with what depends on the last columns replaced, in one variant or in several stacked ones."""
        n_kept = self.x.shape[0] - patch.x.shape[-1]
        n_features, variants = self.features.shape[1] - patch.features.shape[-1], patch.x.shape[:-1]
        xp, kind = array_namespace(self.x), {"dtype": self.x.dtype, "device": self.x.device}
        x, xx, xy, features = (
            xp.empty((*variants, *a.shape), **kind) for a in (self.x, self.xx, self.xy, self.features)
        )
        x[..., :n_kept], x[..., n_kept:] = self.x[:n_kept], patch.x
        xx[..., :n_kept, :n_kept], xx[..., :, n_kept:] = self.xx[:n_kept, :n_kept], patch.xx
        xx[..., n_kept:, :n_kept] = xp.matrix_transpose(patch.xx[..., :n_kept, :])
        xy[..., :n_kept, :], xy[..., n_kept:, :] = self.xy[:n_kept], patch.xy
        features[..., :n_features], features[..., n_features:] = self.features[:, :n_features], patch.features
        return replace(self, x=x, xx=xx, xy=xy, features=features)

    @cached_property
    def about_means(self) -> tuple[Array, Array, Array]:
        """Scatter of the design, its products with the outputs, and squares of the outputs (NaN for flat ones)."""
        xp = array_namespace(self.x)
        squares = self.yy - self.y**2 / self.n
        squares = xp.where(squares > FLAT * self.yy, squares, xp.full_like(squares, xp.nan))
        x, y = self.x[..., :, None] * (-self.x / self.n)[..., None, :], self.x[..., :, None] * (-self.y / self.n)
        x += self.xx
        y += self.xy
        return x, y, squares

    def feature_sd(self) -> Array:
        """Standard deviation of every feature without lags, shape (n_features,)."""
        xp = array_namespace(self.x)
        mean, square = self.features[..., 0, :] / self.n, self.features[..., 1, :] / self.n
        return xp.sqrt(xp.clip(square - mean**2, 0.0, None))

    def feature_floor(self) -> Array:
        """Standard deviation below which a feature of a part of these data does not change, shape (n_features,).

        Sums over a part are differences of sums over more, and round as those do.
        """
        xp = array_namespace(self.x)
        mean, square = self.features[..., 0, :] / self.n, self.features[..., 1, :] / self.n
        about_zero = xp.sqrt(xp.clip(square + 2 * mean * self.origin.x + self.origin.x**2, 0.0, None))
        return xp.maximum(1e-12 * about_zero, 1e-7 * xp.sqrt(square))


def total(moments: Iterable[Moments]) -> Moments:
    """Sum of at least one set of moments."""
    return reduce(add, moments)


def compute(
    x: Array, y: Array, lags: range, keep: Array, origin: Origin, *, first: int = 0, stop: int | None = None
) -> Moments:
    """Moments of the samples `first` to `stop` of one trial.

    Parameters
    ----------
    x : array of float64, shape (n_times, n_features)
        May be NaN where `keep` is false at every sample the value reaches.
    y : array of float64, shape (n_times, n_channels)
        May be NaN where `keep` is false.
    lags : range
        Lags in samples, see `eegic.trf.lags`.
    keep : array of bool, shape (n_times,)
        Samples to use.
    origin : Origin
    first, stop : int
        The stretch to sum over; what came before it still counts as the past of its first samples.

    Returns
    -------
    Moments

    Notes
    -----
    Stepping both lags by one moves the window of a product by one sample, so the Gram matrix follows from its first
    row: ``xx[a+1, b+1] = xx[a, b] + x[first-1-a] x[first-1-b] - x[stop-1-a] x[stop-1-b]``. Samples to leave out are
    subtracted afterwards. The design itself exists in blocks of a few megabytes only.
    """
    xp = array_namespace(x, y)
    stop = x.shape[0] if stop is None else stop
    n_lags, n_features = len(lags), x.shape[1]
    x = x - origin.x
    x = xp.where(xp.isnan(x), xp.zeros_like(x), x)
    padded, start = lagging.pad(x, lags, -origin.x, xp)
    x, y, keep, start = x[first:stop], y[first:stop], keep[first:stop], start + first
    left_out = [int(i) for i in xp.nonzero(~keep)[0]]
    edge, x_sum, xy, y_sum, yy = _block_sums(padded, start, n_lags, y, keep if left_out else None, origin, xp)
    xx = _gram(xp.reshape(edge, (n_features, n_features, n_lags)), padded, start, stop - first, xp)
    for rows in _rows(padded, start, n_lags, left_out, xp):
        xx, x_sum = xx - rows @ rows.T, x_sum - xp.sum(rows, axis=1)
    used = xp.where(keep[:, None], x, xp.zeros_like(x))
    features = xp.stack([xp.sum(used, axis=0), xp.sum(used**2, axis=0)])
    return Moments(stop - first - len(left_out), x_sum, y_sum, xx, xy, yy, features, origin)


def _block_sums(
    padded: Array, start: int, n_lags: int, y: Array, keep: Array | None, origin: Origin, xp: Any
) -> tuple[Array, Array, Array, Array, Array]:
    """Gram rows at the first lag (n_features, n_columns), then ``x``, ``xy``, ``y`` and ``yy`` of `Moments`.

    The first two take every sample, those with y only the samples of `keep`.
    """
    n_columns = padded.shape[0] * n_lags
    size = max(64, _BLOCK_BYTES // (8 * n_columns))
    edge = x_sum = xy = y_sum = yy = 0.0
    for first in range(0, y.shape[0], size):
        stop = min(first + size, y.shape[0])
        rows = lagging.lagged_rows(padded, start, n_lags, first, stop, xp)
        out = y[first:stop] - origin.y
        if keep is not None:
            out = xp.where(keep[first:stop, None], out, xp.zeros_like(out))
        edge = edge + padded[:, start + first : start + stop] @ rows.T
        x_sum = x_sum + xp.sum(rows, axis=1)
        xy = xy + rows @ out
        y_sum, yy = y_sum + xp.sum(out, axis=0), yy + xp.sum(out**2, axis=0)
    return edge, x_sum, xy, y_sum, yy


def _gram(edge: Array, padded: Array, start: int, n_times: int, xp: Any) -> Array:
    """Whole Gram matrix (n_columns, n_columns) from its rows at the first lag (n_features, n_features, n_lags)."""
    n_features, _, n_lags = edge.shape
    gram = xp.zeros((n_features, n_lags, n_features, n_lags), dtype=edge.dtype, device=edge.device)
    gram[:, 0, :, :] = edge
    gram[:, :, :, 0] = xp.permute_dims(edge, (1, 2, 0))
    entering = xp.flip(padded[:, start - n_lags + 1 : start], axis=1)
    leaving = xp.flip(padded[:, start + n_times - n_lags + 1 : start + n_times], axis=1)
    for i in range(n_lags - 1):
        step = entering[:, i, None, None] * entering[None] - leaving[:, i, None, None] * leaving[None]
        gram[:, i + 1, :, 1:] = gram[:, i, :, :-1] + step
    return xp.reshape(gram, (n_features * n_lags, n_features * n_lags))


def _rows(padded: Array, start: int, n_lags: int, samples: list[int], xp: Any) -> Iterable[Array]:
    """Transposed lagged design at scattered samples, in blocks of shape (n_columns, n_samples)."""
    size = max(64, _BLOCK_BYTES // (8 * padded.shape[0] * n_lags))
    for first in range(0, len(samples), size):
        at = xp.asarray(samples[first : first + size], device=padded.device)[None, :]
        index = start + at - xp.arange(n_lags, device=padded.device)[:, None]
        values = xp.take(padded, xp.reshape(index, (-1,)), axis=1)
        yield xp.reshape(values, (padded.shape[0] * n_lags, at.shape[1]))
