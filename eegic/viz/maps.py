"""Figures over the scalp."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from eegic import _checks
from eegic.results import GroupResult, Tracking
from eegic.viz.gain_maps import gain_maps
from eegic.viz.look import own_axes
from eegic.viz.scalp import check_positions, draw_map, good_values

if TYPE_CHECKING:
    import mne
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_topography(
    values: Tracking | GroupResult | Sequence[float] | np.ndarray,
    info: mne.Info | None = None,
    *,
    models: str | Sequence[str] | None = None,
    label: str | None = None,
    mask: np.ndarray | None = None,
    limit: float | None = None,
    show: str = "marked",
    which: str | None = None,
    title: str | None = None,
    axes: Axes | None = None,
) -> Figure:
    """Draw one value per channel over the scalp, on a colour scale that is symmetric around zero.

    Parameters
    ----------
    values : Tracking, GroupResult, or array_like of shape (n_channels,)
        A result: the corrected gain of every model on one scale, of a group the mean over participants, with marks
        where ``p_maxt < 0.05`` (or the level of the group); of the other arguments only `models`, `label`, `limit`,
        `show` and `which` have then a place. Or one value per channel. NaN marks missing channels. They, and those in
        ``info["bads"]``, are crossed out, not interpolated over, and without influence on the colours.
    info : mne.Info
        Names, positions and bad channels of the `values`, e.g. ``participant.info``.
    models : sequence of str, optional
        Of a result: which of its models, by default all. Corrected p-values are for all of them, drawn or not.
    label : str, optional
        What the colours mean; stands at the colour bar. By default ``r``, of a result ``corrected Δr``.
    mask : ndarray of bool, shape (n_channels,), optional
        Channels to mark, e.g. the significant ones.
    limit : float, optional
        Value of the darkest colour; share it between maps that are compared.
    show : {"marked", "significant"}
        ``significant``: only channels that would be marked have a colour, each a disc of its own, for between them
        nothing was tested.
    which : {"listeners", "pieces"}, optional
        Of a group: whose p-values decide, those for new listeners (by default) or those for new pieces.
    title : str, optional
    axes : matplotlib Axes, optional

    Returns
    -------
    matplotlib Figure
    """
    limit = None if limit is None else _checks.positive("limit", limit, label or "r")
    only_marked = _checks.one_of("show", show, ("marked", "significant")) == "significant"
    if isinstance(values, (Tracking, GroupResult)):
        if not (info is None and mask is None and title is None and axes is None):
            kind = type(values).__name__
            raise ValueError(
                f"info, mask, title, axes: a {kind} brings its own, a map for every model. For one map in given axes "
                "pass its values, e.g. `result.corrected[0]`, and `result.info`."
            )
        label = "corrected Δr" if label is None else label
        return gain_maps(values, label, limit, models=models, only_marked=only_marked, which=which)
    if models is not None:
        raise ValueError("models: chooses from a Tracking or GroupResult; an array is one map.")
    if which is not None:
        raise ValueError("which: chooses a test of a GroupResult; of an array, `mask` says what is marked.")
    if only_marked and mask is None:
        raise ValueError("show: of an array, 'significant' needs a `mask` that says which channels are.")
    if info is None:
        raise TypeError("info: expected an mne.Info beside the values, e.g. `participant.info`.")
    values = _checks.real_array("values", values, 1, axes="(n_channels,)")
    if len(values) != len(info["ch_names"]):
        raise ValueError(f"values: expected one per channel ({len(info['ch_names'])}), got {len(values)}.")
    check_positions(info)
    marked = np.zeros(len(values), bool) if mask is None else _marked(mask, len(values))
    values = good_values("values", values, info)
    axes = own_axes(axes, (3.4, 3.2))
    limit = float(np.nanmax(np.abs(values))) if limit is None else limit
    image = draw_map(axes, values, info, marked, limit, only_marked=only_marked)
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.65, pad=0.04)
    bar.set_label("r" if label is None else label)
    if title:
        axes.set_title(title)
    return axes.figure.figure


def _marked(mask: object, n_channels: int) -> np.ndarray:
    marked = np.asarray(mask)
    if marked.dtype != bool or marked.shape != (n_channels,):
        raise ValueError(
            f"mask: expected {n_channels} booleans, one per channel, got {marked.dtype} of shape {marked.shape}. "
            "For numbers of channels write `np.isin(np.arange(len(values)), numbers)`."
        )
    return marked
