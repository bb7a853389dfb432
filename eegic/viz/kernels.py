"""Figures over lags: temporal response functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from eegic import _checks
from eegic.results import Tracking
from eegic.trf.scores import mean_defined
from eegic.viz.look import COLOURS, LINES, finished, own_axes, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MICRO = 1e6


def plot_trf(
    times: Tracking | Sequence[float] | np.ndarray,
    kernels: Mapping[str, np.ndarray] | None = None,
    *,
    model: str | None = None,
    channel: str | None = None,
    truth: Mapping[str, np.ndarray] | None = None,
    unit: str = "µV",
    axes: Axes | None = None,
) -> Figure:
    """Draw kernels over lags, with the spread over participants (or folds), and the truth where it is known.

    Parameters
    ----------
    times : Tracking, or array_like of shape (n_lags,)
        A result, of which the kernels of every feature of a model are drawn at one channel, in µV per standard
        deviation of the feature; or lags in seconds (positive means the EEG follows the sound).
    kernels : dict of str to ndarray, each of shape (n_lags,) or (n_repeats, n_lags)
        With lags: volts, one entry per feature, scaled to one standard deviation of the feature or whatever `unit`
        says; repeats (participants, folds) are drawn as their mean with a band of one standard error. Repeats of NaN
        alone (a channel that is bad in one participant) are left out, and the legend says so.
    model, channel : str, optional
        With a result: by default its first model, and the channel that this model predicts best. A bad channel has no
        kernel.
    truth : dict of str to ndarray, each of shape (n_lags,), optional
        Known kernels of features in `kernels`, drawn thin and dotted.
    unit : str
        Unit of the axis; kernels in volts are drawn in microvolts when it starts with ``µV``.
    axes : matplotlib Axes, optional

    Returns
    -------
    matplotlib Figure
    """
    title = None
    if isinstance(times, Tracking):
        title, unit, times, kernels = _of_result(times, kernels, model, channel)
    elif model is not None or channel is not None:
        raise ValueError("model, channel: they choose from a Tracking; kernels of arrays are drawn as they are.")
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
    alone = axes is None
    lines = [line for label in labels.values() for line in label.split("\n")]
    axes = own_axes(axes, (5.2 + 0.075 * max(map(len, lines), default=0), max(3.2, 0.22 * len(lines) + 0.6)))
    for k, (name, every) in enumerate(drawn.items()):
        repeats = every[~np.isnan(every).all(axis=1)]
        left = f" ({len(repeats)} of {len(every)})" if len(repeats) < len(every) else ""
        mean, colour = repeats.mean(axis=0), COLOURS[k % len(COLOURS)]
        style = {"color": colour, "linestyle": LINES[k % len(LINES)], "linewidth": 2}
        axes.plot(lags, mean, label=labels[name] + left, **style)
        if len(repeats) > 1:
            error = repeats.std(axis=0, ddof=1) / np.sqrt(len(repeats))
            axes.fill_between(lags, mean - error, mean + error, color=colour, alpha=0.2, linewidth=0)
        if name in known:
            axes.plot(lags, known[name], color="k", linestyle=":", linewidth=1.4)
    if known:
        axes.plot([], [], color="k", linestyle=":", linewidth=1.4, label="truth")
    axes.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    axes.set(xlabel="Lag: EEG after sound (ms)", ylabel=f"Weight ({unit})", xlim=(lags[0], lags[-1]))
    if title:
        axes.set_title(wrapped(title, 60), fontsize="medium")
    beside = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if alone else {}  # axes given may have neighbours
    axes.legend(frameon=False, fontsize="small", **beside)
    return finished(axes)


def _of_result(
    result: Tracking, kernels: object, model: str | None, channel: str | None
) -> tuple[str, str, np.ndarray, dict[str, np.ndarray]]:
    """Title, unit, lags and kernels of one channel."""
    if kernels is not None:
        raise ValueError("kernels: a Tracking brings its own. Pass either.")
    model = next(iter(result.models)) if model is None else _checks.one_of("model", model, result.models)
    scores = mean_defined(result.r_full[list(result.models).index(model)])
    if np.isnan(scores).all():
        raise ValueError(f"model {model!r}: no channel has a score, so there is no kernel to draw.")
    best = result.ch_names[int(np.nanargmax(scores))]
    channel = best if channel is None else _checks.one_of("channel", channel, result.ch_names)
    of_channel = result.kernels[model][:, :, result.ch_names.index(channel)]
    if np.isnan(of_channel).any():
        raise ValueError(
            f"channel: {channel!r} has no kernel, it is bad or missing. Choose another; {best!r} is predicted best."
        )
    features = (*result.baseline, *result.models[model])
    title = f"{result.participant}, {model}, {channel}"
    return title, "µV per SD", result.lags, dict(zip(features, of_channel, strict=True))


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
