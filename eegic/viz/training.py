"""Figures of a training: how the loss fell, and what became of the metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eegic.history import History
from eegic.viz.look import COLOURS, LINES, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LABELS = {"si_sdr": "SI-SDR (dB)", "multires_stft": "multi-resolution STFT distance"}
_PANEL = 3.6  # inches
_LABEL_WIDTH = 30  # letters


def plot_training(history: History) -> Figure:
    """Draw the losses of a training over its steps, and beside them each of its metrics.

    Parameters
    ----------
    history : History
        As `eegic.training.train` gives it, or ``History.read("history.csv")``.

    Returns
    -------
    matplotlib Figure
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogFormatter

    if not isinstance(history, History):
        raise TypeError(
            f"plot_training: expected a History, got {type(history).__name__}. History.read(path) reads a history.csv."
        )
    if not history.rows:
        raise ValueError("plot_training: the history is empty: nothing was noted yet. Draw it after the first step.")
    names = history.metrics
    width = _PANEL * (1 + len(names)) + 1
    figure, axes = plt.subplots(1, 1 + len(names), figsize=(width, 3.2), layout="constrained", squeeze=False)
    panels: list[Axes] = list(axes[0])
    step = history.column("step")
    _curve(panels[0], step, history.column("loss"), label="training", color="0.6", linewidth=1.0)
    validation = history.column("validation")
    _curve(panels[0], step, validation, label="validation (averaged weights)", color=COLOURS[0], marker="o")
    panels[0].set_ylabel("loss")
    if all(np.nanmin(losses, initial=np.inf) > 0 for losses in (validation, history.column("loss"))):
        panels[0].set_yscale("log")
        panels[0].yaxis.set_major_formatter(LogFormatter())
        panels[0].yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
    panels[0].legend(frameon=False, fontsize="small")
    for panel, name in zip(panels[1:], names, strict=True):
        _curve(panel, step, history.column(name), color=COLOURS[0], marker="o", linestyle=LINES[0])
        panel.set_ylabel(wrapped(f"{_LABELS.get(name, name)}, validation", _LABEL_WIDTH))
    for panel in panels:
        panel.set_xlabel("step")
        panel.spines[["top", "right"]].set_visible(False)
    return figure


def _curve(axes: Axes, step: np.ndarray, values: np.ndarray, **look: Any) -> None:
    known = np.isfinite(values)
    axes.plot(step[known], values[known], markersize=3.5, **look)
