"""Figures that only reports have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eegic.reports.of_participant import over_channels
from eegic.results import Tracking
from eegic.viz.look import COLOURS, finished, own_axes, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MARKERS = "os^Dv*XP"


def plot_trials(result: Tracking) -> Figure:
    """Draw held-out r of every trial (or block), mean over channels: the reduced model, and the full ones beside it."""
    n_segments = len(result.segments)
    whole = n_segments == len(result.stimuli)
    axes = own_axes(None, (min(9.0, 5.6 + 0.06 * n_segments), 3.2))
    place = np.arange(n_segments)
    reduced, full = over_channels(result.r_reduced), over_channels(result.r_full)
    axes.plot(place, reduced, color="0.45", linewidth=1.4, marker="_", markersize=11, label="reduced model")
    spread = np.linspace(-0.22, 0.22, len(full)) if len(full) > 1 else [0.0]
    for row, (name, values) in enumerate(zip(result.models, full, strict=True)):
        style = {"marker": _MARKERS[row % len(_MARKERS)], "color": COLOURS[row % len(COLOURS)], "markersize": 5}
        axes.plot(place + spread[row], values, linestyle="", label=wrapped(name, 26), **style)
    axes.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    axes.set(
        xlabel=f"{'Trial' if whole else 'Block of time'} (the first is 0)", ylabel="Held-out r, mean over channels"
    )
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return finished(axes)
