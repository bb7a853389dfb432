"""Figures: one look for all of them, units on every axis, readable in grey and by the colour-blind.

Every function draws into the `axes` it is given, or makes a figure of its own, and returns the Figure.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic import _checks
from eegic.eeg.offsets import Offsets
from eegic.results import Tracking
from eegic.series import FeatureSeries
from eegic.trf.scores import mean_defined

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
    labels = {name: _wrapped(name, 26) for name in drawn}
    alone = axes is None
    lines = [line for label in labels.values() for line in label.split("\n")]
    axes = _axes(axes, (5.2 + 0.075 * max(map(len, lines), default=0), max(3.2, 0.22 * len(lines) + 0.6)))
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
        axes.set_title(_wrapped(title, 60), fontsize="medium")
    beside = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if alone else {}  # axes given may have neighbours
    axes.legend(frameon=False, fontsize="small", **beside)
    return _finished(axes)


def plot_null(result: Tracking, *, model: str | None = None, axes: Axes | None = None) -> Figure:
    """Draw the gain in r, mean over channels, beside what it would be by chance.

    Parameters
    ----------
    result : Tracking
    model : str, optional
        By default every model, one below the other.
    axes : matplotlib Axes, optional

    Returns
    -------
    matplotlib Figure
    """
    _check_result("plot_null", result)
    names = list(result.models) if model is None else [_checks.one_of("model", model, result.models)]
    rows = [list(result.models).index(name) for name in names]
    labels = [_wrapped(name, 26) for name in names]
    widest = max(len(line) for label in labels for line in label.split("\n"))
    axes = _axes(axes, (6.0 + 0.085 * widest, 1.4 + 0.9 * len(rows)))
    null, gain = np.nanmean(result.null[rows], axis=2), np.nanmean(result.gain[rows], axis=1)
    low, high = min(null.min(), gain.min(), 0.0), max(null.max(), gain.max(), 0.0)
    bins = np.linspace(low, high, 41)
    for level, (row, chance, observed) in enumerate(zip(rows, null, gain, strict=True)):
        count, _ = np.histogram(chance, bins)
        height = 0.8 * count / count.max()
        axes.bar(bins[:-1], height, np.diff(bins), bottom=-level, align="edge", color="0.75", linewidth=0)
        axes.plot([chance.mean()] * 2, [-level, 0.85 - level], color="0.35", linewidth=1.4, linestyle=LINES[1])
        axes.plot([observed] * 2, [-level, 0.85 - level], color=COLOURS[0], linewidth=2.4)
        where = axes.get_yaxis_transform()  # beside the axes, where no line runs
        axes.text(1.01, 0.4 - level, f"p = {result.p_mean[row]:.3g}", transform=where, va="center", fontsize="small")
    for label, style in (
        ("with the feature in its place", {"color": COLOURS[0], "linewidth": 2.4}),
        ("1 surrogate" if null.shape[1] == 1 else f"{null.shape[1]} surrogates", {"color": "0.75", "linewidth": 6}),
        ("their mean", {"color": "0.35", "linewidth": 1.4, "linestyle": LINES[1]}),
    ):
        axes.plot([], [], label=label, **style)
    bottom = 0.9 - len(names)
    axes.plot([0, 0], [bottom, 0.9], color="k", linewidth=0.8, zorder=0)  # up to the legend
    axes.set(
        xlabel="Δr, mean over channels",
        yticks=[-level for level in range(len(names))],
        yticklabels=labels,
        ylim=(bottom, 1.35),
    )
    axes.legend(loc="upper center", ncols=3, frameon=False, fontsize="small", borderaxespad=0.2)
    return _finished(axes)


def plot_topography(
    values: Tracking | Sequence[float] | np.ndarray,
    info: mne.Info | None = None,
    *,
    label: str | None = None,
    mask: np.ndarray | None = None,
    limit: float | None = None,
    title: str | None = None,
    axes: Axes | None = None,
) -> Figure:
    """Draw one value per channel over the scalp, on a colour scale that is symmetric around zero.

    Parameters
    ----------
    values : Tracking, or array_like of shape (n_channels,)
        A result: the corrected gain of every model on one scale, channels with ``p_maxt < 0.05`` marked; of the other
        arguments only `label` and `limit` have then a place. Or one value per channel. NaN marks missing channels.
        They, and those in ``info["bads"]``, are crossed out, not interpolated over, and without influence on the
        colours.
    info : mne.Info
        Names, positions and bad channels of the `values`, e.g. ``participant.info``.
    label : str, optional
        What the colours mean; stands at the colour bar. By default ``r``, of a result ``corrected Δr``.
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
    limit = None if limit is None else _checks.positive("limit", limit, label or "r")
    if isinstance(values, Tracking):
        if not (info is None and mask is None and title is None and axes is None):
            raise ValueError(
                "info, mask, title, axes: a Tracking brings its own, a map for every model. For one map in given axes "
                "pass its values, e.g. `result.corrected[0]`, and `result.info`."
            )
        return _gain_maps(values, "corrected Δr" if label is None else label, limit)
    if info is None:
        raise TypeError("info: expected an mne.Info beside the values, e.g. `participant.info`.")
    values = _checks.real_array("values", values, 1, axes="(n_channels,)")
    if len(values) != len(info["ch_names"]):
        raise ValueError(f"values: expected one per channel ({len(info['ch_names'])}), got {len(values)}.")
    _check_positions(info)
    marked = np.zeros(len(values), bool) if mask is None else _marked(mask, len(values))
    values = _good("values", values, info)
    axes = _axes(axes, (3.4, 3.2))
    image = _map(axes, values, info, marked, float(np.nanmax(np.abs(values))) if limit is None else limit)
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.65, pad=0.04)
    bar.set_label("r" if label is None else label)
    if title:
        axes.set_title(title)
    return axes.figure  # type: ignore[return-value]


def plot_alignment_qc(offsets: Offsets, *, axes: Axes | None = None) -> Figure:
    """Draw how strongly the EEG follows the envelope of the sound at every lag, beside where it should.

    Parameters
    ----------
    offsets : Offsets
        As `eegic.offset_profile` gives them.
    axes : matplotlib Axes, optional

    Returns
    -------
    matplotlib Figure
    """
    if not isinstance(offsets, Offsets):
        raise TypeError(
            f"plot_alignment_qc: expected Offsets, as `offset_profile` gives them, got {type(offsets).__name__}."
        )
    axes = _axes(axes, (6.4, 3.8))
    lags, (low, high) = 1000 * offsets.lags, offsets.band
    start, stop = (1000 * lag for lag in offsets.expected)
    axes.axvspan(start, stop, color=COLOURS[2], alpha=0.12, linewidth=0, label="where a cortical answer peaks")
    axes.fill_between(lags, low, high, color="0.75", linewidth=0, label="95 % of the null")
    for number, profile in enumerate(offsets.profiles):
        axes.plot(lags, profile, color=COLOURS[0], linewidth=0.7, alpha=0.3, label=None if number else "each trial")
    axes.plot(lags, offsets.profile, color=COLOURS[0], linewidth=2.2, label="mean of trials")
    axes.plot(1000 * offsets.peak, offsets.profile.max(), "o", color="k", markersize=5, label="its peak")
    room = 1.3  # for the legend
    axes.axvline(0, ymax=1 / room, color="k", linewidth=0.8, zorder=0)
    top = room * max(offsets.profiles.max(), high.max())
    axes.set(xlabel="Lag: EEG after sound (ms)", ylabel="r, RMS over channels", xlim=(lags[0], lags[-1]), ylim=(0, top))
    axes.set_title(textwrap.fill(f"{offsets.participant}: {offsets.verdict}", 90), fontsize="small", loc="left")
    axes.legend(loc="upper left", ncols=3, frameon=False, fontsize="small")
    return _finished(axes)


def _gain_maps(result: Tracking, label: str, limit: float | None) -> Figure:
    """One map per model, on one scale."""
    import matplotlib.pyplot as plt

    _check_positions(result.info)
    names = list(result.models)
    corrected = [_good(f"model {name!r}", one, result.info) for name, one in zip(names, result.corrected, strict=True)]
    limit = float(np.nanmax(np.abs(corrected))) if limit is None else limit
    n_rows = -(-len(names) // 4)
    n_columns = -(-len(names) // n_rows)
    titles = [_wrapped(name, 26) for name in names]
    n_lines = 1 + max(title.count("\n") for title in titles)
    size = (2.7 * n_columns + 0.9, (2.6 + 0.17 * n_lines) * n_rows + 0.4)
    layout = {"squeeze": False, "layout": "constrained", "gridspec_kw": {"hspace": 0.08}}
    figure, panels = plt.subplots(n_rows, n_columns, figsize=size, **layout)
    figure.get_layout_engine().set(h_pad=0.08)
    for panel in panels.flat[len(names) :]:
        panel.set_axis_off()
    for panel, title, values, p in zip(panels.flat, titles, corrected, result.p_maxt, strict=False):
        image = _map(panel, values, result.info, p < 0.05, limit)
        panel.set_title(title, fontsize="medium")
    figure.colorbar(image, ax=panels, shrink=0.65 if n_rows == 1 else 0.4, pad=0.03).set_label(label)
    note = "marked: p < .05, corrected for channels" + (" and models" if len(names) > 1 else "")
    figure.suptitle(f"{textwrap.fill(result.participant, int(12 * size[0]))}\n{note}", fontsize="medium")
    return figure


def _good(where: str, values: np.ndarray, info: mne.Info) -> np.ndarray:
    """Return the values, NaN for bad channels, or say that they are too few for a map."""
    good = np.where(np.isin(info["ch_names"], info["bads"]) | ~np.isfinite(values), np.nan, values)
    known = int(np.isfinite(good).sum())
    if known < 4:
        raise ValueError(
            f"{where}: a map needs at least 4 good channels with a value, got {known}. NaN and channels in "
            "info['bads'] do not count."
        )
    return good


def _contours(values: np.ndarray, limit: float) -> list[float] | int:
    """Levels at fifths of the scale but zero: the same for maps that share it; matplotlib dashes the negative ones."""
    levels = [limit * fifth / 5 for fifth in (-4, -3, -2, -1, 1, 2, 3, 4)]
    return [level for level in levels if np.nanmin(values) < level < np.nanmax(values)] or 0


def _map(axes: Axes, values: np.ndarray, info: mne.Info, marked: np.ndarray, limit: float) -> Any:
    """Draw a map and return its image; channels that are NaN are crossed out."""
    import mne

    known, limit = np.isfinite(values), limit or 1.0
    common = {"axes": axes, "show": False, "cmap": "RdBu_r", "vlim": (-limit, limit)}
    if not known.all():  # an empty map of all channels underneath carries the crosses
        crosses = {"marker": "x", "markeredgecolor": "k", "markersize": 6}
        mne.viz.plot_topomap(0 * known, info, mask=~known, mask_params=crosses, sensors=False, contours=0, **common)
    image, _ = mne.viz.plot_topomap(
        values[known],
        mne.pick_info(info, np.flatnonzero(known)),
        mask=marked[known],
        mask_params={"marker": "o", "markerfacecolor": "w", "markeredgecolor": "k", "markersize": 5},
        contours=_contours(values, limit),
        **common,
    )
    return image


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


def _check_result(function: str, result: object) -> None:
    if not isinstance(result, Tracking):
        raise TypeError(
            f"{function}: expected a Tracking, as `cortical_tracking` gives it, got {type(result).__name__}."
        )


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
    first: dict[tuple[float, ...], str] = {}
    for name, at in positions.items():
        other = first.setdefault(tuple(np.round(at, 6)), name)
        if other != name:
            raise ValueError(f"info: channels {other} and {name} share one position. Correct the montage.")


def _wrapped(text: str, width: int) -> str:
    """Break a name into lines, where it has gaps or marks and, failing these, anywhere."""
    lines = [""]
    for word in re.findall(r"[^\s_./,-]*[\s_./,-]*", text):
        if len(lines[-1]) + len(word.rstrip()) > width and lines[-1]:
            lines.append("")
        whole = lines[-1] + word
        lines[-1:] = [whole[at : at + width] for at in range(0, max(len(whole.rstrip()), 1), width)]
    return "\n".join(line.strip() for line in lines)


def _sparse(times: np.ndarray, values: np.ndarray) -> bool:
    steps = np.diff(times)
    return bool(np.mean(values == 0) > 0.5 or (len(steps) > 1 and np.ptp(steps) > 0.01 * np.median(steps)))


def _axes(axes: Axes | None, size: tuple[float, float]) -> Any:
    if axes is not None:
        if not hasattr(axes, "plot"):
            raise TypeError(
                f"axes: expected a matplotlib Axes, got {type(axes).__name__}. Leave it out, or pass one: "
                "plt.subplots()[1]."
            )
        return axes
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def _finished(axes: Axes) -> Figure:
    axes.spines[["top", "right"]].set_visible(False)
    return axes.figure  # type: ignore[return-value]
