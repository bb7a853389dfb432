"""Figures over lags: temporal response functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic import _checks
from eegic.results import GroupResult, Tracking
from eegic.trf.scores import mean_defined
from eegic.viz.look import COLOURS, LINES, SMALL_LEGEND, finished, inches, legend_within, own_axes, widest, wrapped
from eegic.viz.peaks import below_maps, peaks_of
from eegic.viz.summaries import mean_and_error, titles, who

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MICRO = 1e6
_DOT: dict[str, Any] = {"marker": "o", "color": "k", "markerfacecolor": "w", "markersize": 5.5, "linestyle": ""}


def plot_trf(
    times: Tracking | GroupResult | Sequence[float] | np.ndarray,
    kernels: Mapping[str, np.ndarray] | None = None,
    *,
    model: str | None = None,
    channel: str | None = None,
    peaks: bool | int = False,
    feature: str | None = None,
    truth: Mapping[str, np.ndarray] | None = None,
    unit: str = "µV",
    axes: Axes | None = None,
) -> Figure:
    """Draw kernels over lags, with the spread over participants (or folds), and the truth where it is known.

    Parameters
    ----------
    times : Tracking, GroupResult, or array_like of shape (n_lags,)
        A result, of which the kernels of every feature of a model are drawn at one channel, in µV per standard
        deviation of the feature; of a group their mean over participants with a band of one standard error. Or lags in
        seconds (positive means the EEG follows the sound).
    kernels : dict of str to ndarray, each of shape (n_lags,) or (n_repeats, n_lags)
        With lags: volts, one entry per feature, scaled to one standard deviation of the feature or whatever `unit`
        says; repeats (participants, folds) are drawn as their mean with a band of one standard error. Repeats of NaN
        alone (a channel that is bad in one participant) are left out, and the legend says so.
    model, channel : str, optional
        With a result: by default its first model, and the channel that this model predicts best; of a group the one
        with the largest corrected gain. A bad channel has no kernel.
    peaks : bool or int
        With a result: how many peaks at most get a map of the scalp above the course; True for 3. Peaks are those of
        the global field power, the SD over channels, and white dots mark them in the course.
    feature : str, optional
        Whose peaks; by default those of the first feature that the model adds.
    truth : dict of str to ndarray, each of shape (n_lags,), optional
        Known kernels of features in `kernels`, drawn thin and dotted.
    unit : str
        Unit of the axis; kernels in volts are drawn in microvolts when it starts with ``µV``.
    axes : matplotlib Axes, optional
        Not together with peaks.

    Returns
    -------
    matplotlib Figure
    """
    result = times if isinstance(times, (Tracking, GroupResult)) else None
    n_peaks = _n_peaks(result, peaks, feature, axes)
    title = heading = None
    if result is not None:
        if kernels is not None:
            raise ValueError(f"kernels: a {type(result).__name__} brings its own. Pass either.")
        model = next(iter(result.models)) if model is None else _checks.one_of("model", model, result.models)
        title, heading, kernels = _of_result(result, model, channel)
        times, unit = result.lags, "µV per SD"
    elif model is not None or channel is not None:
        raise ValueError(
            "model, channel: they choose from a Tracking or GroupResult; kernels of arrays are drawn as they are."
        )
    lags = 1000 * _checks.real_array("times", times, 1, axes="(n_lags,)")
    if not len(lags):
        raise ValueError("times: expected at least one lag in seconds, got none.")
    scale = _MICRO if unit.startswith("µV") else 1.0
    drawn = {name: scale * one for name, one in _kernels("kernels", kernels, len(lags), (1, 2)).items()}
    truth = {} if truth is None else truth
    known = {name: scale * one[0] for name, one in _kernels("truth", truth, len(lags), (1,)).items()}
    for name in known:
        _checks.one_of("truth", name, drawn)
    for name, every in drawn.items():
        if np.isnan(every).all():
            raise ValueError(f"kernels[{name!r}]: expected numbers, got NaN alone. Leave it out.")
    labels = {name: wrapped(name, 26) for name in drawn}
    n_lines = sum(label.count("\n") + 1 for label in labels.values())
    size = (5.2 + 0.075 * widest(list(labels.values())), max(3.2, 0.22 * n_lines + 0.6))
    alone = axes is None
    dots: dict[str, np.ndarray] = {}  # by feature
    if result is not None and n_peaks:
        axes, dots = _below_maps(result, str(model), feature, n_peaks, size)
    axes = own_axes(axes, size)
    for k, (name, every) in enumerate(drawn.items()):
        mean = _draw_kernel(axes, lags, every, labels[name], k)
        if name in known:
            axes.plot(lags, known[name], color="k", linestyle=":", linewidth=1.4)
        if name in dots:
            axes.plot(lags[dots[name]], mean[dots[name]], zorder=4, label="peaks over the scalp", **_DOT)
    if known:
        axes.plot([], [], color="k", linestyle=":", linewidth=1.4, label="truth")
    axes.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    axes.set(xlabel="Lag: EEG after sound (ms)", ylabel=f"Weight ({unit})", xlim=(lags[0], lags[-1]))
    if title:
        axes.set_title(wrapped(title, max(24, min(60, int(14 * inches(axes))))), fontsize="medium")
    if alone:
        axes.legend(title=heading, loc="upper left", bbox_to_anchor=(1.0, 1.0), **SMALL_LEGEND)
    else:  # its neighbours leave no room beside it
        legend_within(axes, heading)
    return finished(axes)


def _n_peaks(result: object, peaks: bool | int, feature: str | None, axes: Axes | None) -> int:
    """How many peaks at most are drawn as maps."""
    n = 3 * peaks if isinstance(peaks, bool) else _checks.count("peaks", peaks)
    if n and result is None:
        raise ValueError("peaks: maps need the channels of a Tracking or GroupResult; an array has none.")
    if n and axes is not None:
        raise ValueError("axes: with peaks, maps stand above the course in a figure of their own. Leave axes out.")
    if feature is not None and not n:
        raise ValueError("feature: it chooses whose peaks get maps. Add peaks=True.")
    return n


def _of_result(
    result: Tracking | GroupResult, model: str, channel: str | None
) -> tuple[str, str | None, dict[str, np.ndarray]]:
    """Title, heading of the legend, and kernels of one channel, each (n_participants, n_lags)."""
    row = list(result.models).index(model)
    scores = mean_defined(result.corrected[row] if isinstance(result, GroupResult) else result.r_full[row])
    if np.isnan(scores).all():
        raise ValueError(f"model {model!r}: no channel has a score, so there is no kernel to draw.")
    best = result.ch_names[int(np.nanargmax(scores))]
    channel = best if channel is None else _checks.one_of("channel", channel, result.ch_names)
    of_channel = _every(result, model)[..., result.ch_names.index(channel)]
    known = ~np.isnan(of_channel).any(axis=(1, 2))
    if not known.any():
        raise ValueError(
            f"channel: {channel!r} has no kernel, it is bad or missing. Choose another; {best!r} is predicted best."
        )
    heading = None
    if isinstance(result, GroupResult):
        left = "" if known.all() else f" of {len(known)}"
        heading = f"{'mean ± SE, ' if known.sum() > 1 else ''}n = {known.sum()}{left}"
    features = (*result.baseline, *result.models[model])
    title = f"{who(result)}, {titles(result)[row]}, {channel}"
    return title, heading, dict(zip(features, of_channel[known].swapaxes(0, 1), strict=True))


def _every(result: Tracking | GroupResult, model: str) -> np.ndarray:
    """Kernels of every participant, (n_participants, n_features, n_lags, n_channels)."""
    return result.kernels[model] if isinstance(result, GroupResult) else result.kernels[model][None]


def _below_maps(
    result: Tracking | GroupResult, model: str, feature: str | None, n: int, size: tuple[float, float]
) -> tuple[Any, dict[str, np.ndarray]]:
    """Axes below maps of a feature at the peaks of its kernel, and the lags of these by number."""
    features = (*result.baseline, *result.models[model])
    feature = result.models[model][0] if feature is None else _checks.one_of("feature", feature, features)
    kernel = _MICRO * mean_defined(_every(result, model)[:, features.index(feature)])
    at = peaks_of(kernel, n)
    heads = [f"{wrapped(feature, 22)}\n{1000 * lag:.0f} ms" for lag in result.lags[at]]
    return below_maps(size, kernel[at], result.info, heads, "µV per SD"), {feature: at}


def _draw_kernel(axes: Axes, lags: np.ndarray, every: np.ndarray, label: str, k: int) -> np.ndarray:
    """Draw one kernel, or the mean and standard error of several, in look number `k`; return the mean."""
    repeats = every[~np.isnan(every).all(axis=1)]
    left = f" ({len(repeats)} of {len(every)})" if len(repeats) < len(every) else ""
    mean, error = mean_and_error(repeats)
    colour = COLOURS[k % len(COLOURS)]
    axes.plot(lags, mean, label=label + left, color=colour, linestyle=LINES[k % len(LINES)], linewidth=2)
    if len(repeats) > 1:
        axes.fill_between(lags, mean - error, mean + error, color=colour, alpha=0.2, linewidth=0)
    return mean


def _kernels(argument: str, kernels: object, n_lags: int, ndims: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Return each kernel with a row per repeat, shape (n_repeats, n_lags)."""
    if not isinstance(kernels, Mapping):
        raise TypeError(
            f"{argument}: expected a dictionary from feature to kernel, got {type(kernels).__name__}. "
            "Write {'envelope': kernel}."
        )
    axes = "(n_lags,) or (n_repeats, n_lags)" if 2 in ndims else "(n_lags,)"
    rows = {}
    for name, kernel in kernels.items():
        where, ndim = f"{argument}[{name!r}]", np.ndim(kernel)
        array = _checks.real_array(where, kernel, ndim if ndim in ndims else ndims[0], axes=axes)
        if array.shape[-1] != n_lags or not len(array):
            raise ValueError(f"{where}: expected one value per lag ({n_lags}), got shape {array.shape}.")
        rows[name] = np.atleast_2d(array)
    return rows
