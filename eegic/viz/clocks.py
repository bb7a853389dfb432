"""Figures of the alignment of sound and EEG."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from eegic.eeg.offsets import Offsets
from eegic.viz.look import COLOURS, finished, own_axes, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
    axes = own_axes(axes, (6.4, 3.8))
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
    axes.set_title(plain(textwrap.fill(f"{offsets.participant}: {offsets.verdict}", 90)), fontsize="small", loc="left")
    axes.legend(loc="upper left", ncols=3, frameon=False, fontsize="small")
    return finished(axes)
