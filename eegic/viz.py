"""Figures: one look for all of them, units on every axis, readable in grey and by the colour-blind.

Every function draws into the `axes` it is given, or makes a figure of its own, and returns the Figure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic import _checks
from eegic.series import FeatureSeries

if TYPE_CHECKING:
    import mne
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours for the colour-blind, ordered so that neighbours also differ in lightness
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#000000")
LINES = ("-", (0, (5, 1)), (0, (3, 1, 1, 1)), ":")
_MICRO = 1e6


def plot_features(
    *series: FeatureSeries, tmin: float = 0.0, tmax: float | None = None, axes: Axes | None = None
) -> Figure:
    """Draw features over time: sampled ones as lines, sparse ones (mostly zeros, or irregular times) as stems.

    Parameters
    ----------
    *series : FeatureSeries
        Every feature gets a row of its own, scaled to its largest value, which stands beside its name; NaN is a gap.
    tmin, tmax : float
        Stretch to show, in seconds; by default all.
    axes : matplotlib Axes, optional

    Returns
    -------
    matplotlib Figure
    """
    _check_series(series)
    axes = _axes(axes, (8, 1 + 0.8 * sum(one.n_features for one in series)))
    rows = [(name, one.times, one.values[:, f]) for one in series for f, name in enumerate(one.names)]
    end = max(times[-1] for _, times, _ in rows) if tmax is None else tmax
    labels = []
    for row, (name, times, values) in enumerate(rows):
        shown = (times >= tmin) & (times <= end)
        largest = float(np.nanmax(np.abs(values[shown]), initial=0.0))
        level, colour = -1.25 * row, COLOURS[row % len(COLOURS)]
        height = level + values[shown] / (largest or 1.0)
        if _sparse(times, values):
            events = values[shown] != 0
            axes.vlines(times[shown][events], level, height[events], color=colour, linewidth=1.4)
            axes.plot(times[shown][events], height[events], "o", color=colour, markersize=3)
            axes.axhline(level, color="0.8", linewidth=0.8, zorder=0)
        else:
            axes.plot(times[shown], height, color=colour, linewidth=1.1)
            alone = _alone(height)  # a line needs two
            axes.plot(times[shown][alone], height[alone], "o", color=colour, markersize=2)
        labels.append(f"{name}\n(to {largest:.3g})")
    axes.set(xlim=(tmin, end), xlabel="Time (s)", yticks=[-1.25 * row for row in range(len(rows))], yticklabels=labels)
    return _finished(axes)


def plot_trf(
    times: Sequence[float] | np.ndarray,
    kernels: Mapping[str, np.ndarray],
    *,
    truth: Mapping[str, np.ndarray] | None = None,
    unit: str = "µV",
    axes: Axes | None = None,
) -> Figure:
    """Draw kernels over lags, with the spread over participants (or folds), and the truth where it is known.

    Parameters
    ----------
    times : array_like, shape (n_lags,)
        Lags in seconds; positive means the EEG follows the sound.
    kernels : dict of str to ndarray, each of shape (n_lags,) or (n_repeats, n_lags)
        Volts, one entry per feature, scaled to one standard deviation of the feature or whatever `unit` says; repeats
        (participants, folds) are drawn as their mean with a band of one standard error.
    truth : dict of str to ndarray, each of shape (n_lags,), optional
        Known kernels of features in `kernels`, drawn thin and dotted.
    unit : str
        Unit of the axis; kernels in volts are drawn in microvolts when it starts with ``µV``.
    axes : matplotlib Axes, optional

    Returns
    -------
    matplotlib Figure
    """
    lags = 1000 * _checks.real_array("times", times, 1, axes="(n_lags,)")
    if not len(lags):
        raise ValueError("times: expected at least one lag in seconds, got none.")
    scale = _MICRO if unit.startswith("µV") else 1.0
    drawn = {name: scale * one for name, one in _kernels("kernels", kernels, len(lags), (1, 2)).items()}
    truth = {} if truth is None else truth
    known = {name: scale * one[0] for name, one in _kernels("truth", truth, len(lags), (1,)).items()}
    for name in known:
        _checks.one_of("truth", name, drawn)
    axes = _axes(axes, (5, 3.2))
    for k, (name, repeats) in enumerate(drawn.items()):
        mean, colour = repeats.mean(axis=0), COLOURS[k % len(COLOURS)]
        axes.plot(lags, mean, color=colour, linestyle=LINES[k % len(LINES)], linewidth=2, label=name)
        if len(repeats) > 1:
            error = repeats.std(axis=0, ddof=1) / np.sqrt(len(repeats))
            axes.fill_between(lags, mean - error, mean + error, color=colour, alpha=0.2, linewidth=0)
        if name in known:
            axes.plot(lags, known[name], color="k", linestyle=":", linewidth=1.4)
    if known:
        axes.plot([], [], color="k", linestyle=":", linewidth=1.4, label="truth")
    axes.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    axes.set(xlabel="Lag: EEG after sound (ms)", ylabel=f"Weight ({unit})", xlim=(lags[0], lags[-1]))
    axes.legend(frameon=False, fontsize="small")
    return _finished(axes)


def plot_topography(
    values: Sequence[float] | np.ndarray,
    info: mne.Info,
    *,
    label: str = "r",
    mask: np.ndarray | None = None,
    limit: float | None = None,
    title: str | None = None,
    axes: Axes | None = None,
) -> Figure:
    """Draw one value per channel over the scalp, on a colour scale that is symmetric around zero.

    Parameters
    ----------
    values : array_like, shape (n_channels,)
        NaN marks missing channels. They, and those in ``info["bads"]``, are crossed out, not interpolated over, and
        without influence on the colours.
    info : mne.Info
        Names, positions and bad channels of the `values`, e.g. ``participant.info``.
    label : str
        What the colours mean; stands at the colour bar.
    mask : ndarray of bool, shape (n_channels,), optional
        Channels to mark, e.g. the significant ones.
    limit : float, optional
        Value of the darkest colour; share it between maps that are compared.
    title : str, optional
    axes : matplotlib Axes, optional

    Returns
    -------
    matplotlib Figure
    """
    import mne

    values = _checks.real_array("values", values, 1, axes="(n_channels,)")
    if len(values) != len(info["ch_names"]):
        raise ValueError(f"values: expected one per channel ({len(info['ch_names'])}), got {len(values)}.")
    _check_positions(info)
    marked = np.zeros(len(values), bool) if mask is None else _marked(mask, len(values))
    values[np.isin(info["ch_names"], info["bads"])] = np.nan
    known = np.isfinite(values)
    if known.sum() < 4:
        raise ValueError(
            f"values: a map needs at least 4 good channels with a value, got {int(known.sum())}. NaN and channels in "
            "info['bads'] do not count."
        )
    axes = _axes(axes, (3.4, 3.2))
    largest = float(np.abs(values[known]).max()) if limit is None else _checks.positive("limit", limit, label)
    common = {"axes": axes, "show": False, "cmap": "RdBu_r", "vlim": (-(largest or 1.0), largest or 1.0)}
    if not known.all():  # an empty map of all channels underneath carries the crosses
        crosses = {"marker": "x", "markeredgecolor": "k", "markersize": 6}
        mne.viz.plot_topomap(0 * known, info, mask=~known, mask_params=crosses, sensors=False, contours=0, **common)
    image, _ = mne.viz.plot_topomap(
        values[known],
        mne.pick_info(info, np.flatnonzero(known)),
        mask=marked[known],
        mask_params={"marker": "o", "markerfacecolor": "w", "markeredgecolor": "k", "markersize": 5},
        contours=4,
        **common,
    )
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.65, pad=0.04)
    bar.set_label(label)
    if title:
        axes.set_title(title)
    return axes.figure  # type: ignore[return-value]


def _check_series(series: Sequence[object]) -> None:
    if not series:
        raise ValueError("plot_features: expected at least one FeatureSeries, got none.")
    for one in series:
        if not isinstance(one, FeatureSeries):
            raise TypeError(
                f"plot_features: expected FeatureSeries, got {type(one).__name__}. "
                "Unpack a list, `plot_features(*series)`; of an array make a `FeatureSeries(values, times, names)`."
            )


def _alone(values: np.ndarray) -> np.ndarray:
    """Mark known values between unknown ones, shape (n_times,)."""
    known = np.pad(np.isfinite(values), 1)
    return np.asarray(known[1:-1] & ~known[:-2] & ~known[2:])


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


def _marked(mask: object, n_channels: int) -> np.ndarray:
    marked = np.asarray(mask)
    if marked.dtype != bool or marked.shape != (n_channels,):
        raise ValueError(
            f"mask: expected {n_channels} booleans, one per channel, got {marked.dtype} of shape {marked.shape}. "
            "For numbers of channels write `np.isin(np.arange(len(values)), numbers)`."
        )
    return marked


def _check_positions(info: mne.Info) -> None:
    positions = {ch["ch_name"]: ch["loc"][:3] for ch in info["chs"]}
    nowhere = [name for name, at in positions.items() if not np.isfinite(at).all() or not at.any()]
    if nowhere:
        raise ValueError(
            f"info: {len(nowhere)} channels have no position, so they cannot be drawn: {', '.join(nowhere[:9])}. "
            "Give a montage (`info.set_montage(...)`), or leave them out."
        )
    places = np.round(list(positions.values()), 6)
    if len(np.unique(places, axis=0)) < len(places):
        raise ValueError("info: two channels share one position. Correct the montage.")


def _sparse(times: np.ndarray, values: np.ndarray) -> bool:
    steps = np.diff(times)
    return bool(np.mean(values == 0) > 0.5 or (len(steps) > 1 and np.ptp(steps) > 0.01 * np.median(steps)))


def _axes(axes: Axes | None, size: tuple[float, float]) -> Any:
    if axes is not None:
        return axes
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def _finished(axes: Axes) -> Figure:
    axes.spines[["top", "right"]].set_visible(False)
    return axes.figure  # type: ignore[return-value]
