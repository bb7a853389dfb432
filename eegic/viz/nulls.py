"""Figures of chance: a gain beside what it would be without the feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eegic import _checks
from eegic.results import Tracking
from eegic.viz.look import COLOURS, LINES, finished, own_axes, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
    labels = [wrapped(name, 26) for name in names]
    widest = max(len(line) for label in labels for line in label.split("\n"))
    axes = own_axes(axes, (6.0 + 0.085 * widest, 1.4 + 0.9 * len(rows)))
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
    return finished(axes)


def _check_result(function: str, result: object) -> None:
    if not isinstance(result, Tracking):
        raise TypeError(
            f"{function}: expected a Tracking, as `cortical_tracking` gives it, got {type(result).__name__}."
        )
