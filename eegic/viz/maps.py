"""Figures over the scalp."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic import _checks
from eegic.results import Tracking
from eegic.viz.look import own_axes, wrapped

if TYPE_CHECKING:
    import mne
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
    axes = own_axes(axes, (3.4, 3.2))
    image = _map(axes, values, info, marked, float(np.nanmax(np.abs(values))) if limit is None else limit)
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.65, pad=0.04)
    bar.set_label("r" if label is None else label)
    if title:
        axes.set_title(title)
    return axes.figure  # type: ignore[return-value]


def _gain_maps(result: Tracking, label: str, limit: float | None) -> Figure:
    """One map per model, on one scale."""
    import matplotlib.pyplot as plt

    _check_positions(result.info)
    names = list(result.models)
    corrected = [_good(f"model {name!r}", one, result.info) for name, one in zip(names, result.corrected, strict=True)]
    limit = float(np.nanmax(np.abs(corrected))) if limit is None else limit
    n_rows = -(-len(names) // 4)
    n_columns = -(-len(names) // n_rows)
    titles = [wrapped(name, 26) for name in names]
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
