"""Nested cross-validation in moment space: grouped, per channel, every alpha at once."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from operator import add
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from eegic import _checks
from eegic.trf import design as designing
from eegic.trf import folds as folding
from eegic.trf import ridge
from eegic.trf.design import Design, Recording
from eegic.trf.folds import Fold, Split
from eegic.trf.heldout import Choice, Held
from eegic.trf.inputs import Trials
from eegic.trf.moments import Moments
from eegic.trf.ridge import Ridge
from eegic.trf.scores import METRICS, Sums, mean_defined
from eegic.trf.search import choose
from eegic.trf.workers import Run, workers

Array = Any
_SHORT = 0.2  # of the median segment
DEFAULT_ALPHAS: tuple[float, ...] = tuple(float(a) for a in np.logspace(-4, 3, 15))


@dataclass(frozen=True, eq=False)
class AlphaPath:
    """Held-out score of every alpha; nothing is chosen.

    Attributes
    ----------
    alphas : ndarray, shape (n_alphas,)
        The grid, in `alpha_units`.
    alpha_units : str
    split : Split
        Segments (whole trials unless `gap` was given) and folds.
    sums : tuple of Sums
        Sums of the held-out predictions of each segment.
    """

    alphas: np.ndarray
    alpha_units: str
    split: Split
    sums: tuple[Sums, ...]

    @property
    def folds(self) -> tuple[Fold, ...]:
        """Segments (trials) held out in each fold."""
        return self.split.folds

    def __repr__(self) -> str:
        size = f"{len(self.split.segments)} segments in {len(self.folds)} folds, {len(self.sums[0].y)} channels"
        grid = f"{len(self.alphas)} alphas {self.alphas[0]:.3g} to {self.alphas[-1]:.3g} {self.alpha_units}"
        return f"AlphaPath({size}, {grid})"

    def score(self, metric: str = "r") -> Array:
        """Score of every segment, shape (n_segments, n_alphas, n_channels)."""
        return _score(self.sums, metric)

    def folds_score(self, metric: str = "r") -> Array:
        """Mean score over the segments of each fold, shape (n_folds, n_alphas, n_channels)."""
        scores = self.score(metric)
        xp = array_namespace(scores)
        return xp.stack([mean_defined(scores[list(fold)]) for fold in self.folds])

    def concatenated(self, metric: str = "r") -> Array:
        """Score over the samples of all segments together, shape (n_alphas, n_channels)."""
        return reduce(add, self.sums).score(metric)


@dataclass(frozen=True, eq=False)
class CrossVal:
    """Held-out scores of models whose alpha was chosen without the data they are scored on.

    Attributes
    ----------
    alpha : ndarray, shape (n_folds,) or (n_folds, n_channels)
        Chosen in each fold, in `alpha_units`; with several bands their geometric mean.
    ratios : ndarray, shape (n_folds, n_bands)
        Alpha of each band as a multiple of `alpha`.
    alphas : ndarray, shape (n_alphas,)
        The grid.
    alpha_units : str
    inner : array, shape (n_folds, n_alphas, n_channels), or None
        Mean inner score by which alpha was chosen; None for a single alpha.
    weights : array, shape (n_folds, n_inputs, n_lags, n_channels)
        Kernels of each fold, in units of output per unit of input and sample.
    lags : ndarray of int, shape (n_lags,)
        Positive means the output follows the input.
    sfreq : float
    split : Split
        Segments (whole trials unless `gap` was given) and folds.
    sums : tuple of Sums
        Sums of the held-out predictions of each segment; every score follows from them.
    """

    alpha: np.ndarray
    ratios: np.ndarray
    alphas: np.ndarray
    alpha_units: str
    inner: Array | None
    weights: Array
    lags: np.ndarray
    sfreq: float
    split: Split
    sums: tuple[Sums, ...]

    @property
    def folds(self) -> tuple[Fold, ...]:
        """Segments (trials) held out in each fold."""
        return self.split.folds

    @property
    def n_samples(self) -> np.ndarray:
        """Samples that each segment was scored on, shape (n_segments,): known, unmasked, in reach of known features."""
        return np.array([sums.n for sums in self.sums])

    def score(self, metric: str = "r") -> Array:
        """Score of every segment, shape (n_segments, n_channels), for ``"r"``, ``"r2"`` or ``"mse"``."""
        return _score(self.sums, metric)[:, 0]

    @cached_property
    def r(self) -> Array:
        """Pearson correlation of every segment (trial), shape (n_segments, n_channels)."""
        return self.score("r")

    @cached_property
    def r2(self) -> Array:
        """Coefficient of determination of every segment, shape (n_segments, n_channels)."""
        return self.score("r2")

    @cached_property
    def mse(self) -> Array:
        """Mean squared error of every segment, shape (n_segments, n_channels)."""
        return self.score("mse")

    def concatenated(self, metric: str = "r") -> Array:
        """Score over the samples of all segments together, shape (n_channels,)."""
        return reduce(add, self.sums).score(metric)[0]

    @property
    def times(self) -> np.ndarray:
        """Lags in seconds, shape (n_lags,)."""
        return self.lags / self.sfreq

    def __repr__(self) -> str:
        mean = float(mean_defined(mean_defined(self.r)[:, None])[0])
        size = f"{len(self.split.segments)} segments in {len(self.folds)} folds, {self.r.shape[1]} channels"
        alphas = f"{self.alpha.min():.3g} to {self.alpha.max():.3g} {self.alpha_units}"
        return f"CrossVal({size}: mean r {mean:.4f}, alpha {alphas})"


def crossval_path(
    x: object,
    y: object,
    sfreq: float,
    *,
    tmin: float | Sequence[float],
    tmax: float | Sequence[float],
    alphas: object = DEFAULT_ALPHAS,
    alpha_units: str = "relative",
    features: Sequence[int] | None = None,
    groups: Sequence[object] | None = None,
    n_folds: int | None = None,
    gap: float | None = None,
    penalty: str = "ridge",
    bands: Sequence[int] | None = None,
    ratios: Sequence[float] | None = None,
    basis: object = None,
    masks: Sequence[object] | None = None,
    backward: bool = False,
    n_jobs: int = 1,
) -> AlphaPath:
    """Held-out score of every fold, alpha and channel.

    The maximum over alphas is *not* an estimate of how well the model predicts, since the held-out data chose it; use
    `nested_crossval` for that. Parameters are those of `nested_crossval`; `ratios` gives the alpha of each band as a
    multiple of `alphas`.

    Returns
    -------
    AlphaPath

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = [rng.standard_normal((500, 1)) for _ in range(4)]
    >>> y = [trial + rng.standard_normal((500, 3)) for trial in x]
    >>> crossval_path(x, y, 64.0, tmin=0.0, tmax=0.1, alphas=[0.01, 0.1, 1.0]).score().shape
    (4, 3, 3)
    """
    grid = ridge.check_alphas(alphas)
    trials, layout = designing.lay_out(
        x, y, sfreq, tmin, tmax, penalty=penalty, basis=basis, bands=bands, masks=masks, backward=backward
    )
    split = folding.split(trials.lengths, layout, groups=groups, n_folds=n_folds, gap=gap)
    select = _check_features(features, layout.n_features)
    model = Ridge(layout.select(select), alpha_units)
    multiples = np.ones(model.design.n_bands) if ratios is None else ridge.check_ratios(ratios, model.design.n_bands)
    recording = designing.Recording.of(trials, layout)
    with workers(n_jobs, len(layout.feature)) as run:
        held = Held(parts_of(recording, split, select, run), split.folds, model)
        sums = _in_order(split, run(held.predict, [(k, grid, multiples) for k in range(len(split.folds))]))
    return AlphaPath(grid, alpha_units, split, sums)


def nested_crossval(
    x: object,
    y: object,
    sfreq: float,
    *,
    tmin: float | Sequence[float],
    tmax: float | Sequence[float],
    alphas: object = DEFAULT_ALPHAS,
    alpha_units: str = "relative",
    features: Sequence[int] | None = None,
    groups: Sequence[object] | None = None,
    n_folds: int | None = None,
    gap: float | None = None,
    per_channel: bool = False,
    criterion: str = "r",
    penalty: str = "ridge",
    bands: Sequence[int] | None = None,
    basis: object = None,
    masks: Sequence[object] | None = None,
    backward: bool = False,
    n_jobs: int = 1,
    progress: bool = False,
) -> CrossVal:
    """Held-out scores of temporal response functions, alpha chosen inside each training set.

    Parameters
    ----------
    x : sequence of array, each (n_times, n_features), or one such array
        Features of the sound, one array per trial, of any lengths; numpy arrays or torch tensors (CPU or CUDA). NaN
        marks samples to leave out, over all lags they reach.
    y : sequence of array, each (n_times, n_channels), or one such array
        EEG, of the same kind and lengths. NaN marks samples to leave out; a channel that is NaN or constant throughout
        scores NaN and touches no other number.
    sfreq : float
        Rate of both, in hertz.
    tmin, tmax : float, or sequence of float per feature
        Lags in seconds, both ends included; positive means the EEG follows the sound (see `eegic.trf.lags`).
    alphas : array_like
        Grid of regularisation; results hold it in ascending order. A single one is used as it is, without inner
        cross-validation.
    alpha_units : {"relative", "mtrf", "toolbox", "absolute"}
        See `fit`. With ``relative`` features are scaled to unit variance by the training data of each fold.
    features : sequence of int, optional
        The features the model has, ascending; by default all. The others still decide which samples are left out, so
        models with different features of the same `x` are fitted to and scored on the same samples.
    groups : sequence, shape (n_trials,), optional
        What must not be torn apart: trials of one group are in one fold (repeats of a piece, say). By default every
        trial is its own group.
    n_folds : int, optional
        Number of folds; groups are dealt, in order of appearance, in contiguous runs of nearly equal size. By default
        every group is a fold. At least 3 when alpha is to be chosen.
    gap : float, optional
        Seconds. Cut every trial into `n_folds` contiguous blocks instead (block k of every trial is fold k), without
        the first `gap` seconds of every block after the first. At least the length of the kernel; add the
        autocorrelation time of the EEG. For a single long recording, or trials that all present the same sound.
    per_channel : bool
        Choose alpha for each channel, at no further pass; otherwise by the mean over channels.
    criterion : {"r", "r2", "mse"}
        Score by which alpha is chosen, averaged over inner validation trials, which weigh equally.
    penalty : {"ridge", "smooth"}
        See `fit`.
    bands : sequence of int, shape (n_features,), optional
        The band of each feature; every band gets its own alpha, see Notes.
    basis, masks, backward
        See `fit`.
    n_jobs : int
        Threads, -1 for every core; results do not depend on it.
    progress : bool
        Show progress bars.

    Returns
    -------
    CrossVal

    Notes
    -----
    Inner folds are the remaining outer folds. With several bands the search starts from equal alphas and moves to the
    best of its neighbours, one band stronger or weaker by two decades, until none is better, then by one, then by half
    a decade, and never more than four decades from the mean; at every point the whole grid of common factors is scored.
    All neighbours are compared before a move, so the order of the bands does not matter, and the cost grows with the
    number of bands, not as a power of it. The ratios between bands are shared by all channels.

    Correlations do not depend on the scale of the EEG, so it needs no scaling.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = [rng.standard_normal((500, 1)) for _ in range(5)]
    >>> y = [trial + rng.standard_normal((500, 3)) for trial in x]
    >>> nested_crossval(x, y, 64.0, tmin=0.0, tmax=0.1, alphas=np.logspace(-3, 3, 7)).r.mean().round(1)
    np.float64(0.7)
    """
    _checks.one_of("criterion", criterion, METRICS)
    grid, per_channel = ridge.check_alphas(alphas), _checks.flag("per_channel", per_channel)
    trials, layout = designing.lay_out(
        x, y, sfreq, tmin, tmax, penalty=penalty, basis=basis, bands=bands, masks=masks, backward=backward
    )
    split = folding.split(trials.lengths, layout, groups=groups, n_folds=n_folds, gap=gap)
    select = _check_features(features, layout.n_features)
    model = Ridge(layout.select(select), alpha_units)
    recording = designing.Recording.of(trials, layout)
    with workers(n_jobs, len(layout.feature), progress=progress) as run:
        held = Held(parts_of(recording, split, select, run), split.folds, model)
        cv = cross_validate(held, split, choose(held, grid, criterion, per_channel, run), grid, run)
    return finished(cv, trials)


def cross_validate(held: Held, split: Split, choices: list[Choice], grid: np.ndarray, run: Run) -> CrossVal:
    """Refit every outer fold at the alphas it chose, and predict it."""
    refits = list(run(held.refit, [(k, grid, choice) for k, choice in enumerate(choices)]))
    xp, design = array_namespace(refits[0].weights), held.model.design
    return CrossVal(
        alpha=np.stack([grid[choice.index] for choice in choices]),
        ratios=np.stack([choice.ratios for choice in choices]),
        alphas=grid,
        alpha_units=held.model.units,
        inner=None if choices[0].scores is None else xp.stack([choice.scores for choice in choices]),
        weights=xp.stack([refit.weights for refit in refits]),
        lags=np.asarray(design.lags),
        sfreq=design.sfreq,
        split=split,
        sums=_in_order(split, [refit.sums for refit in refits]),
    )


def _check_features(features: Sequence[int] | None, n_features: int) -> list[int]:
    if features is None:
        return list(range(n_features))
    chosen = [int(f) for f in features]
    if not chosen or chosen != sorted(set(chosen)) or not 0 <= chosen[0] <= chosen[-1] < n_features:
        raise ValueError(f"features: expected ascending numbers from 0 to {n_features - 1}, got {features!r}.")
    return chosen


def parts_of(recording: Recording, split: Split, features: list[int], run: Run) -> list[Moments]:
    """Moments of every segment, all features deciding on the samples, in the columns of some of them."""
    parts = list(run(recording.moments, [tuple(segment) for segment in split.segments.tolist()]))
    return select_features(parts, recording.design, features)


def select_features(parts: list[Moments], layout: Design, features: list[int]) -> list[Moments]:
    """Moments in the columns of some of the features."""
    if len(features) == layout.n_features:
        return parts
    columns = np.flatnonzero(np.isin(layout.feature, features))
    return [part.select(columns, np.asarray(features)) for part in parts]


def _in_order(split: Split, by_fold: Iterable[list[Sums]]) -> tuple[Sums, ...]:
    """Sums of every segment, from those of every fold."""
    found = {
        s: sums
        for fold, several in zip(split.folds, by_fold, strict=True)
        for s, sums in zip(fold, several, strict=True)
    }
    return tuple(found[s] for s in range(len(found)))


def _score(sums: tuple[Sums, ...], metric: str) -> Array:
    _checks.one_of("metric", metric, METRICS)
    scores = [s.score(metric) for s in sums]
    return array_namespace(scores[0]).stack(scores)


def finished(cv: CrossVal, trials: Trials) -> CrossVal:
    """Take out the kernels of dead channels; name alphas at the edge of the grid, short segments and flat channels."""
    _warn_at_edges(cv.alpha, cv.alphas)
    _warn_short(cv.n_samples)
    _warn_flat(cv.sums, trials)
    return replace(cv, weights=trials.without_dead(cv.weights))


def _warn_at_edges(alpha: np.ndarray, grid: np.ndarray) -> None:
    if len(grid) < 2:
        return
    low, high = int((alpha == grid[0]).sum()), int((alpha == grid[-1]).sum())
    if low or high:
        warnings.warn(
            f"The chosen alpha sits at the edge of the grid: {low} of {alpha.size} choices at the smallest "
            f"({grid[0]:g}), {high} at the largest ({grid[-1]:g}). Extend `alphas` unless that is all right.",
            stacklevel=4,
        )


def _warn_short(n_samples: np.ndarray) -> None:
    typical = float(np.median(n_samples))
    short = np.flatnonzero(n_samples < _SHORT * typical)
    if len(short):
        warnings.warn(
            f"Segments {short.tolist()} (trials, unless cut by `gap`) have {n_samples[short].tolist()} samples to "
            f"score, the median one {typical:.0f}; yet all weigh equally in means over segments. Leave those trials "
            "out, or mask less of them.",
            stacklevel=4,
        )


def _warn_flat(sums: tuple[Sums, ...], trials: Trials) -> None:
    xp = trials.xp
    flat = xp.stack([xp.isnan(s.score("mse")[0]) & ~trials.dead for s in sums])
    for channels, where in (
        (xp.all(flat, axis=0), "throughout"),
        (xp.any(flat, axis=0) & ~xp.all(flat, axis=0), "in some of the held-out trials"),
    ):
        named = [int(c) for c in xp.nonzero(channels)[0]]
        if named:
            warnings.warn(f"y: channels {named} are constant {where}; their scores there are NaN.", stacklevel=4)
