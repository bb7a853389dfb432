"""A feature over time: values, the times they belong to, and their names."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from eegic import _checks, _files

TIME_TOLERANCE = 1e-9  # seconds; two times this close are the same time
_SCHEMA = "eegic.FeatureSeries/1"


@dataclass(frozen=True, eq=False)
class FeatureSeries:
    """Values of one or more features, each with the time it belongs to.

    Times are explicit because they carry science: a codec frame lasts 4096/44100 s, notes come when they come, and
    whether an information content is stamped at the start or at the end of its frame decides what a latency means.

    Parameters
    ----------
    values : array_like of float, shape (n_times, n_features) or (n_times,)
        NaN marks values that are not known; analyses leave those samples out.
    times : array_like of float, shape (n_times,)
        Seconds from the start of the sound, strictly increasing.
    names : str or sequence of str
        One name per feature.
    se : array_like of float, shape of `values`, optional
        Standard error of each value, in the units of the values, if they are estimates (from random probes, say): a
        noisy regressor biases a gain in prediction towards zero, so its error travels with it. Finite where the value
        is known, and NaN, whatever was given, where it is not. By default values are taken as exact; then None.
    info : mapping, optional
        How the values were made: whatever JSON can hold. It goes with the series through `resample`, `shift`, `select`
        and files.

    Examples
    --------
    >>> notes = FeatureSeries([2.5, 0.5, 4.0], times=[0.0, 0.5, 1.25], names="surprisal")
    >>> notes.resample(4.0, duration=2.0, kind="impulse").values[:, 0]
    array([2.5, 0. , 0.5, 0. , 0. , 4. , 0. , 0. ])
    >>> notes.resample(4.0, duration=2.0, kind="hold").values[:, 0]
    array([2.5, 2.5, 0.5, 0.5, 0.5, 4. , 4. , 4. ])
    """

    values: np.ndarray
    times: np.ndarray
    names: tuple[str, ...]
    se: np.ndarray | None
    info: Mapping[str, Any]

    def __init__(
        self,
        values: object,
        times: object,
        names: str | Sequence[str],
        *,
        se: object = None,
        info: Mapping[str, Any] | None = None,
    ) -> None:
        values = _values(values)
        times = _times(times, len(values))
        names = _checks.unique_names("names", names, values.shape[1], "feature")
        se = None if se is None else _se(se, values)
        for field, value in (("values", values), ("times", times), ("names", names), ("se", se), ("info", _info(info))):
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, field, value)

    @property
    def n_times(self) -> int:
        """Number of times."""
        return len(self.times)

    @property
    def n_features(self) -> int:
        """Number of features."""
        return len(self.names)

    @property
    def step(self) -> float:
        """Median interval between successive times, in seconds (nan for a single time)."""
        return float(np.median(np.diff(self.times))) if self.n_times > 1 else float("nan")

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to other processes, which a read-only mapping by itself cannot."""
        return _rebuilt, (self.values, self.times, self.names, self.se, dict(self.info))

    def __repr__(self) -> str:
        """Names, size, span, and the largest standard error."""
        error = "" if self.se is None else f", SE up to {np.fmax.reduce(self.se, axis=None):.2g}"
        return (
            f"FeatureSeries({', '.join(self.names)}: {self.n_times} values, "
            f"{self.times[0]:.3f} to {self.times[-1]:.3f} s, median step {1000 * self.step:.2f} ms{error})"
        )

    def resample(self, sfreq: float, *, duration: float | None = None, kind: str = "hold") -> FeatureSeries:
        """Bring the series onto the regular grid 0, 1/sfreq, 2/sfreq, ... seconds.

        Parameters
        ----------
        sfreq : float
            Samples per second of the grid, in hertz.
        duration : float, optional
            Length of the grid in seconds; it holds ``round(duration * sfreq)`` samples. By default it ends where the
            series ends: one median step after the last time, or one sample after it for impulses.
        kind : {"hold", "linear", "impulse"}
            ``hold``: a value lasts until the next one, the last one until the end (frames of a codec).
            ``linear``: straight lines between values; the last one lasts at most one median step (sampled signals).
            ``impulse``: each value goes, whole, to its nearest sample and samples in between are 0 (notes); values
            that meet in a sample add up, so the sum over time is conserved.

        Returns
        -------
        FeatureSeries
            NaN where nothing is known: before the first time, and, for ``linear``, after the last step or beside a NaN.

        Notes
        -----
        Values are read off at instants; nothing is low-passed. To lower the rate of a signal, filter it first:
        a warning says so when more than two values fall on one sample.

        Standard errors are those of the samples, if the errors of different values are independent: what a sample
        takes from several values adds in quadrature. Samples that share a value share its error.
        """
        sfreq = _checks.positive("sfreq", sfreq, "hertz")
        _checks.one_of("kind", kind, _RESAMPLERS)
        if duration is None:
            duration = self.times[-1] + (1 / sfreq if kind == "impulse" or self.n_times == 1 else self.step)
        n_times = round(_checks.positive("duration", float(duration), "seconds") * sfreq)
        if n_times < 1:
            raise ValueError(f"duration: {duration:g} s holds no sample at {sfreq:g} Hz. Give a longer duration.")
        if kind != "impulse" and self.step * sfreq < 0.5:
            warnings.warn(
                f"{', '.join(self.names)}: {kind} resampling from about {1 / self.step:.4g} to {sfreq:g} Hz does not "
                "low-pass, so faster changes alias. Compute the feature at the lower rate, or filter it first.",
                stacklevel=2,
            )
        resampled = partial(_RESAMPLERS[kind], self, sfreq, n_times)
        se = None if self.se is None else resampled(self.se, np.hypot)  # in quadrature
        times = np.arange(n_times) / sfreq
        return FeatureSeries(resampled(self.values, np.add), times, self.names, se=se, info=self.info)

    def centred(self, at: float | Sequence[float] | np.ndarray | None = None) -> FeatureSeries:
        """Return the series with `at`, by default the mean of each feature, subtracted from its values.

        An analysis takes 0 before and after a sound, which for information content is far from anything that the music
        does. For several sounds pass the same `at`, one number per feature, so that they stay comparable.
        """
        centre = np.nanmean(self.values, axis=0) if at is None else np.asarray(at, dtype=float)
        if centre.shape not in ((), (self.n_features,)) or not np.isfinite(centre).all():
            raise ValueError(f"at: expected a finite number per feature ({self.n_features}), got {at!r}.")
        return replace(self, values=self.values - centre)

    def shift(self, seconds: float) -> FeatureSeries:
        """Return the series with `seconds` added to every time (positive: later)."""
        return replace(self, times=self.times + _checks.finite("seconds", seconds, "seconds"))

    def stack(self, *others: FeatureSeries) -> FeatureSeries:
        """Return one series with the features of this and the `others`, which must have the same times.

        Beside features with standard errors, those of exact ones are 0. In `info` that of each part stands under its
        names.
        """
        for other in others:
            if not isinstance(other, FeatureSeries):
                raise TypeError(f"stack: expected FeatureSeries, got {type(other).__name__}.")
            if other.n_times != self.n_times or not np.allclose(other.times, self.times, rtol=0, atol=TIME_TOLERANCE):
                raise ValueError(
                    f"stack: {', '.join(self.names)} and {', '.join(other.names)} have different times "
                    f"({_span(self)}; {_span(other)}). Resample both with the same `sfreq` and `duration` first."
                )
        parts = (self, *others)
        values = np.concatenate([s.values for s in parts], axis=1)
        se = [np.zeros_like(s.values) if s.se is None else s.se for s in parts]
        exact = all(s.se is None for s in parts)
        names = [name for s in parts for name in s.names]
        info = {", ".join(s.names): dict(s.info) for s in parts if s.info}
        return FeatureSeries(values, self.times, names, se=None if exact else np.concatenate(se, axis=1), info=info)

    def select(self, names: str | Sequence[str]) -> FeatureSeries:
        """Return the series of the named features, in the order given."""
        names = [names] if isinstance(names, str) else list(names)
        columns = [self.names.index(_checks.one_of("select", name, self.names)) for name in names]
        se = None if self.se is None else self.se[:, columns]
        return FeatureSeries(self.values[:, columns], self.times, names, se=se, info=self.info)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an .npz file: ``values``, ``times``, ``names``, ``schema``, and ``se`` and ``info`` (JSON) if any."""
        arrays = {"values": self.values, "times": self.times, "names": np.array(self.names)}
        se = {} if self.se is None else {"se": self.se}
        info = {"info": np.array(json.dumps(dict(self.info)))} if self.info else {}
        _files.write_npz(path, {**arrays, **se, **info, "schema": np.array(_SCHEMA)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> FeatureSeries:
        """Read a series written by `save`; nothing is unpickled."""
        stored = _files.read_npz(path, _SCHEMA, ("values", "times", "names"), optional=("se", "info"))
        try:
            info = json.loads(str(stored["info"])) if "info" in stored else None
        except ValueError as error:
            raise ValueError(f"{path}: its info cannot be read as JSON ({error}). Make the series again.") from error
        return cls(stored["values"], stored["times"], stored["names"].tolist(), se=stored.get("se"), info=info)


def _info(info: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """A read-only copy in plain types, as a file would give it back."""
    try:
        return MappingProxyType(json.loads(json.dumps(dict(info or {}), allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise TypeError(f"info: expected what JSON can hold ({error}). Write numbers, strings, lists.") from error


def _rebuilt(
    values: object, times: object, names: tuple[str, ...], se: object, info: Mapping[str, Any]
) -> FeatureSeries:
    return FeatureSeries(values, times, names, se=se, info=info)


def _columns(name: str, given: object, advice: str) -> np.ndarray:
    axes = "(n_times, n_features) or (n_times,)"
    ndim = 1 if _checks.array(name, given, axes=axes).ndim == 1 else 2
    array = _checks.real_array(name, given, ndim, axes=axes, integers=advice)
    return array[:, None] if ndim == 1 else array


def _values(values: object) -> np.ndarray:
    array = _columns("values", values, "Write `values.astype(float)`; divide audio samples by their full scale.")
    if array.size == 0:
        raise ValueError(f"values: expected at least one time and one feature, got shape {array.shape}.")
    _refuse("values", array, np.isinf(array), "finite numbers or NaN", "Use NaN for values that are not known.")
    return array


def _se(se: object, values: np.ndarray) -> np.ndarray:
    array = _columns("se", se, "Write `se.astype(float)`.")
    if array.shape != values.shape:
        raise ValueError(f"se: expected one per value, {values.shape}, got {array.shape}. Repeat what values share.")
    known = ~np.isnan(values)
    advice = "Estimate the error of every known value, or leave `se` out."
    _refuse("se", array, known & ~((array >= 0) & (array < np.inf)), "finite numbers, 0 or more", advice)
    return np.where(known, array, np.nan)


def _refuse(name: str, array: np.ndarray, wrong: np.ndarray, expected: str, advice: str) -> None:
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        came = f"{array[row, column]} at row {row}, feature {column}"
        raise ValueError(f"{name}: expected {expected}, got {came}. {advice}")


def _times(times: object, n_times: int) -> np.ndarray:
    advice = "Times are seconds: divide sample numbers by their rate, `samples / sfreq`."
    array = _checks.real_array("times", times, 1, axes="(n_times,)", integers=advice)
    if len(array) != n_times:
        raise ValueError(f"times: expected one per row of values ({n_times}), got {len(array)}. Crop the longer one.")
    if not np.isfinite(array).all():
        raise ValueError(
            f"times: expected finite seconds, got {array[~np.isfinite(array)][0]} at index "
            f"{int(np.argmin(np.isfinite(array)))}. Drop the rows whose time is not known."
        )
    backwards = np.flatnonzero(np.diff(array) <= 0)
    if len(backwards):
        i = int(backwards[0])
        raise ValueError(
            f"times: expected strictly increasing seconds, but {array[i]:g} is followed by {array[i + 1]:g} "
            f"(index {i + 1}). Sort the rows by time, and merge rows that share one."
        )
    return array


def _hold(series: FeatureSeries, sfreq: float, n_times: int, array: np.ndarray, add: np.ufunc) -> np.ndarray:
    row = np.searchsorted(series.times, np.arange(n_times) / sfreq + TIME_TOLERANCE, side="right") - 1
    return np.where(row[:, None] >= 0, array[row], np.nan)


def _linear(series: FeatureSeries, sfreq: float, n_times: int, array: np.ndarray, add: np.ufunc) -> np.ndarray:
    grid = np.arange(n_times) / sfreq
    row = np.searchsorted(series.times, grid + TIME_TOLERANCE, side="right") - 1
    after = np.minimum(row + 1, series.n_times - 1)
    elapsed = grid - series.times[row]
    weight = (elapsed / np.where(after > np.maximum(row, 0), series.times[after] - series.times[row], 1.0))[:, None]
    exact = ((elapsed < TIME_TOLERANCE) | (after == row))[:, None]  # a value stands beside an unknown neighbour
    values = np.where(exact, array[row], add((1 - weight) * array[row], weight * array[after]))
    step = series.step if series.n_times > 1 else 1 / sfreq
    known = (row >= 0) & (grid < series.times[-1] + step - TIME_TOLERANCE)
    return np.where(known[:, None], values, np.nan)


def _impulse(series: FeatureSeries, sfreq: float, n_times: int, array: np.ndarray, add: np.ufunc) -> np.ndarray:
    end = n_times / sfreq
    outside = (series.times < -0.5 / sfreq - TIME_TOLERANCE) | (series.times > end + TIME_TOLERANCE)
    if outside.any():
        raise ValueError(
            f"{', '.join(series.names)}: {int(outside.sum())} of {series.n_times} impulses lie outside 0 to {end:g} s "
            f"(the first at {series.times[outside][0]:g} s) and would be lost. Lengthen `duration`, or drop them."
        )
    sample = np.clip(np.floor(series.times * sfreq + 0.5).astype(int), 0, n_times - 1)
    values = np.zeros((n_times, series.n_features))
    add.at(values, sample, array)
    return values


_RESAMPLERS = {"hold": _hold, "linear": _linear, "impulse": _impulse}


def _span(series: FeatureSeries) -> str:
    return f"{series.n_times} times from {series.times[0]:g} to {series.times[-1]:g} s"
