"""Maps of a kernel at its peaks, above its course."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic.viz.scalp import check_positions, draw_map, good_values

if TYPE_CHECKING:
    import mne

_MAP = 1.9  # inches, with its title
_ENOUGH = 1 / 3  # of the largest value: what is lower is no peak


def peaks_of(kernel: np.ndarray, n: int) -> np.ndarray:
    """Lags at which a kernel stands out, in order.

    Parameters
    ----------
    kernel : ndarray, shape (n_lags, n_channels)
        NaN for channels without a kernel.
    n : int
        At most so many: those that rise furthest above the valleys beside them, and to a third of the largest value.

    Returns
    -------
    ndarray of int, shape (n_peaks,)
        Peaks of the global field power, the SD over channels; its largest value, if there is no peak.
    """
    from scipy.signal import find_peaks

    power = np.nanstd(kernel, axis=1)
    peaks, found = find_peaks(power, height=_ENOUGH * power.max(), prominence=0.0)
    if not len(peaks):
        return np.array([power.argmax()])
    return np.sort(peaks[np.argsort(-found["prominences"], kind="stable")[:n]])


def below_maps(size: tuple[float, float], kernel: np.ndarray, info: mne.Info, titles: Sequence[str], label: str) -> Any:
    """Draw maps side by side in a new figure and return axes below them, for the course.

    Parameters
    ----------
    size : (float, float)
        Width and height for the course in inches; maps may need a larger width.
    kernel : ndarray, shape (n_peaks, n_channels)
        A map each, on one scale.
    info : mne.Info
    titles : sequence of str, one per map
    label : str
        What the colours mean.

    Returns
    -------
    matplotlib Axes
    """
    import matplotlib.pyplot as plt

    check_positions(info)
    maps = [good_values(title, one, info) for title, one in zip(titles, kernel, strict=True)]
    limit = float(np.nanmax(np.abs(maps)))
    width = max(size[0], 1.3 + _MAP * len(maps))
    figure = plt.figure(figsize=(width, _MAP + size[1]), layout="constrained")
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=(_MAP, size[1]))[:, 0]
    panels = above.subplots(1, len(maps), squeeze=False)[0]
    for panel, title, values in zip(panels, titles, maps, strict=True):
        image = draw_map(panel, values, info, np.zeros(len(values), bool), limit)
        panel.set_title(title, fontsize="small")
    above.colorbar(image, ax=panels, shrink=0.8, pad=0.03).set_label(label, fontsize="small")
    return below.subplots()
