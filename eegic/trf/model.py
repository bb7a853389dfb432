"""A fitted temporal response function: predict, score, patterns, and exchange with mtrf."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from eegic import _checks
from eegic.trf import design as designing
from eegic.trf import lags as lagging
from eegic.trf import moments as summing
from eegic.trf import ridge
from eegic.trf.inputs import check_arrays, check_trials, common_namespace, to_numpy
from eegic.trf.moments import Moments
from eegic.trf.scores import METRICS, Sums
from eegic.trf.workers import workers

Array = Any
_BLOCK = 8192  # samples predicted at a time


@dataclass(frozen=True, eq=False)
class TRF:
    """Kernels from inputs to outputs.

    A forward model has the features of the sound as inputs and the EEG channels as outputs; a backward model has the
    EEG channels as inputs and reconstructs the features.

    Attributes
    ----------
    weights : array, shape (n_inputs, n_lags, n_outputs)
        Units of output per unit of input and sample.
    intercept : array, shape (n_outputs,)
    lags : range
        In samples; positive means the output follows the input.
    sfreq : float
        Hertz.
    alpha : float or tuple of float
        Regularisation, one per band.
    alpha_units : str
    backward : bool
    train : Moments or None
        Moments of the training data, for `patterns`.
    """

    weights: Array
    intercept: Array
    lags: range
    sfreq: float
    alpha: float | tuple[float, ...]
    alpha_units: str = "relative"
    backward: bool = False
    train: Moments | None = None

    @property
    def times(self) -> np.ndarray:
        """Lags in seconds, shape (n_lags,)."""
        return np.asarray(self.lags) / self.sfreq

    def __repr__(self) -> str:
        n_inputs, _, n_outputs = self.weights.shape
        direction = "backward" if self.backward else "forward"
        return (
            f"TRF({direction}: {n_inputs} inputs to {n_outputs} outputs, lags {1000 * self.times[0]:.0f} to "
            f"{1000 * self.times[-1]:.0f} ms at {self.sfreq:g} Hz, alpha {self.alpha} {self.alpha_units})"
        )

    def predict(self, inputs: object) -> list[Array]:
        """Predicted outputs of each trial.

        Parameters
        ----------
        inputs : sequence of array, each (n_times, n_inputs), or one such array
            Features for a forward model, EEG for a backward one.

        Returns
        -------
        list of array, each (n_times, n_outputs)
        """
        trials = check_arrays("inputs", inputs, "inputs")
        n_inputs, n_lags, n_outputs = self.weights.shape
        if trials[0].shape[1] != n_inputs:
            raise ValueError(f"inputs: the model has {n_inputs} inputs, got {trials[0].shape[1]}.")
        xp = common_namespace("model, inputs", self.weights, *trials)
        flat = xp.reshape(self.weights, (n_inputs * n_lags, n_outputs))
        return [self._predict(trial, flat, xp) for trial in trials]

    def _predict(self, trial: Array, flat: Array, xp: Any) -> Array:
        zeros = xp.zeros((trial.shape[1],), dtype=trial.dtype, device=trial.device)
        padded, start = lagging.pad(trial, self.lags, zeros, xp)
        edges = [*range(0, trial.shape[0], _BLOCK), trial.shape[0]]
        blocks = [
            lagging.lagged_rows(padded, start, len(self.lags), first, stop, xp).T @ flat
            for first, stop in pairwise(edges)
        ]
        return xp.concat(blocks, axis=0) + self.intercept

    def score(self, x: object, y: object, *, metric: str = "r", masks: Sequence[object] | None = None) -> Array:
        """Score of every trial and output.

        Parameters
        ----------
        x : sequence of array, each (n_times, n_features), or one such array
        y : sequence of array, each (n_times, n_channels), or one such array
        metric : {"r", "r2", "mse"}
            Pearson correlation, coefficient of determination, or mean squared error.
        masks : sequence of array of bool, each (n_times,), optional
            True where a sample counts.

        Returns
        -------
        array, shape (n_trials, n_outputs)
        """
        _checks.one_of("metric", metric, METRICS)
        trials = check_trials(x, y, masks)
        xp = trials.xp
        inputs, outputs = (trials.y, trials.x) if self.backward else (trials.x, trials.y)
        scores = []
        for prediction, target, keep in zip(self.predict(inputs), outputs, trials.keep, strict=True):
            unknown = xp.isnan(prediction) | xp.isnan(target)
            keep = keep & ~xp.any(unknown & ~xp.all(unknown, axis=0), axis=1)  # a dead channel costs no sample
            scores.append(_sample_sums(prediction[keep], target[keep], xp).score(metric)[0])
        return xp.stack(scores)

    def patterns(self) -> Array:
        """Activation patterns: how the inputs change with each output, other outputs held (Haufe et al. 2014).

        Returns
        -------
        array, shape (n_inputs, n_lags, n_outputs)
            ``cov(X) W inv(W' cov(X) W)`` over the training data, in units of input per unit of output.
        """
        if self.train is None:
            raise ValueError("patterns: the model carries no training data (it was imported). Fit it with `trf.fit`.")
        xp = array_namespace(self.weights)
        scatter = self.train.about_means[0]
        dead = xp.any(xp.isnan(self.weights), axis=(0, 1))
        flat = xp.reshape(xp.where(dead, xp.zeros_like(self.weights), self.weights), (scatter.shape[0], -1))
        with_outputs = scatter @ flat
        outputs = flat.T @ with_outputs
        patterns = xp.reshape(with_outputs @ xp.linalg.pinv(outputs), tuple(self.weights.shape))
        return xp.where(dead, xp.full_like(patterns, xp.nan), patterns)

    def to_mtrf(self) -> Any:
        """Return the model as an `mtrf.TRF` that predicts the same."""
        import mtrf

        model = mtrf.TRF(direction=-1 if self.backward else 1)
        model.times = _safe_times(self.lags, self.sfreq)
        model.fs = self.sfreq
        model.regularization = self.alpha
        model.weights = to_numpy(self.weights) * self.sfreq
        model.bias = to_numpy(self.intercept)[None] * self.sfreq
        return model

    @classmethod
    def from_mtrf(cls, model: Any) -> TRF:
        """Return a trained `mtrf.TRF` as a TRF that predicts the same."""
        if model.weights is None:
            raise ValueError("from_mtrf: the mtrf model is not trained. Call its `train` first.")
        first = round(model.times[0] * model.fs)
        weights = np.asarray(model.weights, float) / model.fs
        return cls(
            weights,
            np.asarray(model.bias, float).reshape(-1) / model.fs,
            range(first, first + weights.shape[1]),
            float(model.fs),
            model.regularization,
            "mtrf",
            model.direction == -1,
        )


def fit(
    x: object,
    y: object,
    sfreq: float,
    *,
    tmin: float | Sequence[float],
    tmax: float | Sequence[float],
    alpha: float | Sequence[float],
    alpha_units: str = "relative",
    penalty: str = "ridge",
    bands: Sequence[int] | None = None,
    basis: object = None,
    masks: Sequence[object] | None = None,
    backward: bool = False,
) -> TRF:
    """Fit kernels to all trials with a given regularisation.

    Parameters
    ----------
    x : sequence of array, each (n_times, n_features), or one such array
        Features of the sound; numpy arrays or torch tensors. NaN marks samples to leave out, over all lags they reach.
    y : sequence of array, each (n_times, n_channels), or one such array
        EEG, of the same kind and lengths. NaN marks samples to leave out.
    sfreq : float
        Rate of both, in hertz.
    tmin, tmax : float, or sequence of float per feature
        Lags in seconds, both ends included; positive means the EEG follows the sound (see `eegic.trf.lags`).
    alpha : float, or sequence of float per band
        Strength of the penalty.
    alpha_units : {"relative", "mtrf", "toolbox", "absolute"}
        ``relative``: alpha times the number of samples, on features scaled to unit variance; means the same
        whatever the length and units of the data. ``mtrf`` and ``toolbox``: as in mTRFpy and the MATLAB mTRF-Toolbox.
        ``absolute``: added to X'X as it is.
    penalty : {"ridge", "smooth"}
        ``ridge``: sum of squared weights. ``smooth``: half the sum of squared steps from lag to lag, per feature, plus
        1e-4 of ridge.
    bands : sequence of int, shape (n_features,), optional
        The band of each feature, for one alpha per band.
    basis : array_like (n_lags, n_basis), or one per feature, optional
        Kernels are combinations of these columns, e.g. of `eegic.trf.bspline_basis`.
    masks : sequence of array of bool, each (n_times,), optional
        True where a sample may be used.
    backward : bool
        Reconstruct the features from the EEG; the window still says how the EEG follows the sound.

    Returns
    -------
    TRF

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sound = rng.standard_normal((2000, 1))
    >>> eeg = np.roll(sound, 13, axis=0) + 0.1 * rng.standard_normal((2000, 1))
    >>> model = fit(sound, eeg, 128.0, tmin=0.0, tmax=0.2, alpha=1e-3)
    >>> model.times[abs(model.weights[0, :, 0]).argmax()] * 128
    np.float64(13.0)
    """
    trials, layout = designing.lay_out(
        x, y, sfreq, tmin, tmax, penalty=penalty, basis=basis, bands=bands, masks=masks, backward=backward
    )
    xp = trials.xp
    overall, ratios = _band_alphas(alpha, layout.n_bands)
    recording = designing.Recording.of(trials, replace(layout, columns=None))
    with workers(1, len(layout.feature)):
        lagged = summing.total(recording.moments(i, 0, n) for i, n in enumerate(trials.lengths))
        path = ridge.Ridge(layout, alpha_units).path(layout.project(lagged, xp), len(trials.x), overall, ratios)
        solution = path.at(np.zeros(1, int)).weights
    weights = trials.without_dead(layout.weights(solution, xp))
    return TRF(
        weights,
        _intercept(weights, lagged),
        layout.lags,
        layout.sfreq,
        alpha if np.ndim(alpha) == 0 else tuple(alpha),  # type: ignore[arg-type]
        alpha_units,
        backward,
        lagged,
    )


def _intercept(weights: Array, train: Moments) -> Array:
    """Intercept for inputs and outputs as they were given, shape (n_outputs,)."""
    xp = array_namespace(weights)
    flat = xp.reshape(weights, (-1, weights.shape[-1]))
    about_origin = (train.y - train.x @ flat) / train.n
    return about_origin + train.origin.y - train.origin.x @ xp.sum(weights, axis=1)


def _band_alphas(alpha: float | Sequence[float], n_bands: int) -> tuple[np.ndarray, np.ndarray]:
    """Geometric mean of the alphas of the bands, shape (1,), and each as a multiple of it, shape (n_bands,)."""
    given = np.asarray(alpha, float)
    if given.ndim == 0:
        return ridge.check_alphas(given), np.ones(n_bands)
    if given.shape != (n_bands,) or not (np.isfinite(given).all() and (given > 0).all()):
        raise ValueError(f"alpha: expected one positive number, or one per band ({n_bands}), got {alpha!r}.")
    overall = np.exp(np.log(given).mean())
    return np.array([overall]), given / overall


def _sample_sums(prediction: Array, target: Array, xp: Any) -> Sums:
    """Sums over samples, about the mean of the target, with one 'alpha'."""
    if not target.shape[0]:
        raise ValueError("No sample is left to score after masks and NaN.")
    mean = xp.mean(target, axis=0)
    p, y = prediction - mean, target - mean
    p_sum, pp, py = (xp.sum(v, axis=0)[None] for v in (p, p * p, p * y))
    return Sums(target.shape[0], xp.sum(y, axis=0), xp.sum(y * y, axis=0), p_sum, pp, py)


def _safe_times(lags: range, sfreq: float) -> list[float]:
    """Lags in seconds that lead back to the same lags through floor(t * sfreq) and ceil(t * sfreq)."""
    times = [lag / sfreq for lag in lags]
    while np.floor(times[0] * sfreq) < lags[0]:
        times[0] = float(np.nextafter(times[0], np.inf))
    while np.ceil(times[-1] * sfreq) > lags[-1]:
        times[-1] = float(np.nextafter(times[-1], -np.inf))
    return times
