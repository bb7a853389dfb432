"""Figures of chance: a gain beside what it would be without the feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eegic import _checks, stats
from eegic.results import GroupResult, Tracking
from eegic.trf.scores import mean_defined
from eegic.viz.look import COLOURS, LINES, finished, legend_above, own_axes, widest, wrapped
from eegic.viz.summaries import check_result, check_shared, counted, titles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_null(result: Tracking | GroupResult, *, model: str | None = None, axes: Axes | None = None) -> Figure:
    """Draw the gain in r, mean over channels, beside what it would be by chance.

    Parameters
    ----------
    result : Tracking or GroupResult
        Of a group: mean over participants and channels, under the surrogates that all participants share. The p-value
        is that for new pieces, of this mean; `GroupResult.to_frame` has that of the median over channels.
    model : str, optional
        By default every model, one below the other.
    axes : matplotlib Axes, optional
        The legend stands above them.

    Returns
    -------
    matplotlib Figure
    """
    from matplotlib.lines import Line2D

    check_result("plot_null", result, Tracking, GroupResult)
    gain, null, p = _chance(result)
    names = list(result.models)
    rows = list(range(len(names))) if model is None else [names.index(_checks.one_of("model", model, names))]
    labels = [wrapped(titles(result)[row], 26) for row in rows]
    axes = own_axes(axes, (6.0 + 0.085 * widest(labels), 1.4 + 0.9 * len(rows)))
    null, gain, p = null[rows], gain[rows], p[rows]
    low, high = min(null.min(), gain.min(), 0.0), max(null.max(), gain.max(), 0.0)
    bins = np.linspace(low, high, 41)
    for level, (chance, observed, found) in enumerate(zip(null, gain, p, strict=True)):
        count, _ = np.histogram(chance, bins)
        height = 0.8 * count / count.max()
        axes.bar(bins[:-1], height, np.diff(bins), bottom=-level, align="edge", color="0.75", linewidth=0)
        axes.plot([chance.mean()] * 2, [-level, 0.85 - level], color="0.35", linewidth=1.4, linestyle=LINES[1])
        axes.plot([observed] * 2, [-level, 0.85 - level], color=COLOURS[0], linewidth=2.4)
        where = axes.get_yaxis_transform()  # beside the axes, where no line runs
        axes.text(1.01, 0.4 - level, f"p = {found:.3g}", transform=where, va="center", fontsize="small")
    bottom = 0.9 - len(rows)
    axes.plot([0, 0], [bottom, 0.9], color="k", linewidth=0.8, zorder=0)
    axes.set(
        xlabel="Δr, mean over " + ("participants\nand " if isinstance(result, GroupResult) else "") + "channels",
        yticks=[-level for level in range(len(rows))],
        yticklabels=labels,
        ylim=(bottom, 0.95),
    )
    entries = {
        "with the feature in its place": Line2D([], [], color=COLOURS[0], linewidth=2.4),
        counted(null.shape[1], "surrogate"): Line2D([], [], color="0.75", linewidth=6),
        "their mean": Line2D([], [], color="0.35", linewidth=1.4, linestyle=LINES[1]),
    }
    legend_above(axes, entries)
    return finished(axes)


def _chance(result: Tracking | GroupResult) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gain (n_models,) and its null (n_models, n_null), means over channels, and the p-value of each model."""
    if isinstance(result, Tracking):
        return np.nanmean(result.gain, axis=1), np.nanmean(result.null, axis=2), result.p_mean
    check_shared(result)
    gain = np.nanmean(mean_defined(np.swapaxes(result.gain, 0, 1)), axis=1)
    null = np.nanmean(result.null, axis=2)
    return gain, null, stats.p_value(gain, null.T)
