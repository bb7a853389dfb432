"""The public door of the engine: what comes in is checked here once, and trusted afterwards."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from eegic import _checks

Array = Any
_COSTLY = 0.1  # share of the samples that gaps of one channel may take from all without a warning


@dataclass(frozen=True, eq=False)
class Trials:
    """Checked trials, all numpy or all torch.

    Attributes
    ----------
    x : list of array of float64, each (n_times, n_features)
    y : list of array of float64, each (n_times, n_channels)
    keep : list of array of bool, each (n_times,)
        Samples that may be used: unmasked, and known in every channel.
    dead : array of bool, shape (n_channels,)
        Channels that are NaN throughout; they stand as zeros in `y`, and their results are NaN.
    xp : module
        The array namespace.
    """

    x: list[Array]
    y: list[Array]
    keep: list[Array]
    dead: Array
    xp: Any

    @property
    def n_features(self) -> int:
        """Number of features."""
        return int(self.x[0].shape[1])

    @property
    def n_channels(self) -> int:
        """Number of outputs."""
        return int(self.y[0].shape[1])

    @property
    def lengths(self) -> list[int]:
        """Samples of each trial."""
        return [int(x.shape[0]) for x in self.x]

    def reversed(self) -> Trials:
        """Exchange inputs and outputs."""
        keep = [k & ~self.xp.any(self.xp.isnan(x), axis=1) for k, x in zip(self.keep, self.x, strict=True)]
        return Trials(self.y, self.x, keep, self.xp.zeros_like(self.x[0][0], dtype=self.xp.bool), self.xp)

    def without_dead(self, results: Array) -> Array:
        """Results (..., n_channels) with NaN for the dead channels."""
        return self.xp.where(self.dead, self.xp.full_like(results, self.xp.nan), results)


def check_trials(x: object, y: object, masks: Sequence[object] | None = None) -> Trials:
    """Check features, outputs and masks; one array counts as one trial.

    A channel that is NaN in every sample is called dead and named in a warning. Other NaN,
    and masks, become samples to leave out; `reach` widens those of the features over the lags.
    """
    xs, ys = check_arrays("x", x, "features"), check_arrays("y", y, "channels")
    if len(xs) != len(ys):
        raise ValueError(f"x, y: expected the same trials in both, got {len(xs)} and {len(ys)}.")
    if masks is not None and len(masks) != len(xs):
        raise ValueError(f"masks: expected one per trial ({len(xs)}), got {len(masks)}.")
    xp = common_namespace("x, y", *xs, *ys)
    for i, (a, b) in enumerate(zip(xs, ys, strict=True)):
        if a.shape[0] != b.shape[0]:
            turned = a.shape[0] in (a.shape[1], b.shape[1]) or b.shape[0] == a.shape[1]
            raise ValueError(
                f"Trial {i}: x has {a.shape[0]} samples and y has {b.shape[0]}. "
                + (
                    "Time is the first axis: transpose one of them, `a.T`."
                    if turned
                    else "Bring both to one rate and one duration (`FeatureSeries.resample(sfreq, duration=...)`)."
                )
            )
    keep = [xp.ones((b.shape[0],), dtype=xp.bool, device=b.device) for b in ys]
    dead = xp.zeros_like(ys[0][0], dtype=xp.bool)
    if any(_spoiled(b, xp) for b in ys):
        dead = _dead_channels(ys, xp)
        ys = [xp.where(dead, xp.zeros_like(b), b) for b in ys]
        keep = [~xp.any(xp.isnan(b), axis=1) for b in ys]
        _warn_costly_channels(ys, xp)
    if masks is not None:
        keep = [k & _mask(mask, k, i, xp) for i, (k, mask) in enumerate(zip(keep, masks, strict=True))]
    return Trials(xs, ys, keep, dead, xp)


def common_namespace(name: str, *arrays: Array) -> Any:
    """Return the namespace of the arrays, which must be of one kind and on one device."""
    kinds = sorted({f"{type(a).__module__.partition('.')[0]} ({a.device})" for a in arrays})
    if len(kinds) > 1:
        raise TypeError(
            f"{name}: expected all numpy arrays, or all torch tensors on one device, got {' and '.join(kinds)}. "
            "Convert one: `torch.from_numpy(a)` or `tensor.numpy()`."
        )
    return array_namespace(arrays[0])


def check_arrays(name: str, trials: object, axis: str) -> list[Array]:
    """Return a list of float64 arrays (n_times, n_features or n_channels), or say what is wrong with which trial."""
    items: object = [trials] if getattr(trials, "ndim", None) == 2 else trials
    if not isinstance(items, (list, tuple)):
        several = " If its first axis is trials, pass `list(a)`." if getattr(trials, "ndim", None) == 3 else ""
        raise TypeError(
            f"{name}: expected a list of arrays (n_times, n_{axis}), one per trial, or one such array; "
            f"got {_described(trials)}.{several}"
        )
    if not items:
        raise ValueError(f"{name}: expected at least one trial, got none.")
    arrays = [_real_array(f"{name}, trial {i}", item, axis) for i, item in enumerate(items)]
    widths = sorted({int(a.shape[1]) for a in arrays})
    if len(widths) > 1:
        raise ValueError(f"{name}: every trial needs the same {axis}, got {widths}.")
    return arrays


def to_numpy(array: Array) -> np.ndarray:
    """Bring an array to the host as numpy."""
    return np.asarray(array.cpu() if is_torch_array(array) else array)


def reach(x: Array, keep: Array, lags: range, xp: Any) -> Array:
    """Leave out every sample that a NaN of the features reaches through one of the lags."""
    unknown = xp.any(xp.isnan(x), axis=1)
    if not bool(xp.any(unknown)):
        return keep
    n_times = x.shape[0]
    before, after = max(lags[-1], 0), max(-lags[0], 0)
    none = xp.zeros((max(before, after),), dtype=xp.bool, device=x.device)
    padded = xp.concat([none[:before], unknown, none[:after]])
    reached = xp.any(xp.stack([padded[before - lag : before - lag + n_times] for lag in lags]), axis=0)
    return keep & ~reached


def _real_array(where: str, item: Any, axis: str) -> Array:
    for attribute in ("values", "eeg"):  # a FeatureSeries or a Trial; data frames have `values` too, and convert
        if hasattr(item, attribute) and not hasattr(item, "__array__"):
            raise TypeError(
                f"{where}: expected an array (n_times, n_{axis}), got {_described(item)}. Pass its `.{attribute}`."
            )
    array: Array = item.detach() if is_torch_array(item) else _checks.array(where, item, axes=f"(n_times, n_{axis})")
    xp = array_namespace(array)
    if not xp.isdtype(array.dtype, ("real floating", "integral")):
        raise TypeError(f"{where}: expected real numbers, got dtype {array.dtype}. Convert to float64 first.")
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(
            f"{where}: expected an array (n_times, n_{axis}), got shape {tuple(array.shape)}. "
            f"A single one is a column: `a[:, None]`."
        )
    array = xp.astype(array, xp.float64, copy=False)
    if _spoiled(array, xp) and bool(xp.any(xp.isinf(array))):
        infinite = xp.astype(xp.isinf(array), xp.int64)
        column = int(xp.argmax(xp.max(infinite, axis=0)))
        raise ValueError(
            f"{where}: column {column} has {int(xp.sum(infinite[:, column]))} infinite samples, the first at sample "
            f"{int(xp.argmax(infinite[:, column]))}. Repair them, or make them NaN to leave them out."
        )
    return array


def _spoiled(array: Array, xp: Any) -> bool:
    """True if a value is NaN or infinite: one cheap pass, since any of them spoils the sum."""
    return not bool(xp.isfinite(xp.sum(array)))


def _dead_channels(ys: list[Array], xp: Any) -> Array:
    nan = xp.stack([xp.all(xp.isnan(y), axis=0) for y in ys])  # (n_trials, n_channels)
    dead = xp.all(nan, axis=0)
    partly = xp.any(nan & ~dead, axis=0)
    if bool(xp.any(partly)):
        channel = int(xp.nonzero(partly)[0][0])
        trial = int(xp.nonzero(nan[:, channel])[0][0])
        raise ValueError(
            f"y: channel {channel} is NaN throughout trial {trial} but not in every trial, so it cannot share samples "
            "with the other channels. Interpolate it, drop the trial, or make it NaN in every trial."
        )
    if bool(xp.any(dead)):
        channels = [int(c) for c in xp.nonzero(dead)[0]]
        warnings.warn(f"y: channels {channels} are NaN throughout; their results are NaN.", stacklevel=5)
    return dead


def _warn_costly_channels(ys: list[Array], xp: Any) -> None:
    """Name channels whose gaps take many samples from all the others."""
    gaps = sum(xp.sum(xp.astype(xp.isnan(y), xp.float64), axis=0) for y in ys) / sum(y.shape[0] for y in ys)
    costly = [int(c) for c in xp.nonzero(gaps > _COSTLY)[0]]
    if costly:
        warnings.warn(
            f"y: channels {costly} are NaN in up to {100 * float(xp.max(gaps)):.0f} % of the samples, which are left "
            "out for every channel. Interpolate those channels, or make them NaN throughout.",
            stacklevel=5,
        )


def _mask(mask: object, like: Array, trial: int, xp: Any) -> Array:
    array = xp.asarray(mask, device=like.device)
    if not xp.isdtype(array.dtype, "bool") or tuple(array.shape) != tuple(like.shape):
        raise ValueError(
            f"masks, trial {trial}: expected {like.shape[0]} booleans, True where a sample may be used; "
            f"got {array.dtype} {tuple(array.shape)}."
        )
    return array


def _described(value: object) -> str:
    shape = getattr(value, "shape", None)
    return f"{type(value).__name__}" + (f" of shape {tuple(shape)}" if shape is not None else "")
