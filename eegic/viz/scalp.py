"""One map of the scalp: what is known as colours, what is not crossed out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import mne
    from matplotlib.axes import Axes


def good_values(where: str, values: np.ndarray, info: mne.Info) -> np.ndarray:
    """Return the values, NaN for bad channels, or say that they are too few for a map."""
    good = np.where(np.isin(info["ch_names"], info["bads"]) | ~np.isfinite(values), np.nan, values)
    known = int(np.isfinite(good).sum())
    if known < 4:
        raise ValueError(
            f"{where}: a map needs at least 4 good channels with a value, got {known}. NaN and channels in "
            "info['bads'] do not count."
        )
    return good


def check_positions(info: mne.Info) -> None:
    """Say which channels cannot be drawn."""
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


def draw_map(
    axes: Axes, values: np.ndarray, info: mne.Info, marked: np.ndarray, limit: float, *, only_marked: bool = False
) -> Any:
    """Draw a map and return what a colour bar needs; channels that are NaN are crossed out.

    Parameters
    ----------
    axes : matplotlib Axes
    values : ndarray, shape (n_channels,)
    info : mne.Info
    marked : ndarray of bool, shape (n_channels,)
    limit : float
        Value of the darkest colour.
    only_marked : bool
        True gives a colour to the marked channels alone, as discs, and leaves all between them blank.
    """
    import mne

    known, limit = np.isfinite(values), limit or 1.0
    common = {"axes": axes, "show": False, "cmap": "RdBu_r", "vlim": (-limit, limit)}
    if not known.all():  # an empty map of all channels underneath carries the crosses
        _empty_map(info, ~known, {"marker": "x", "markeredgecolor": "k", "markersize": 6}, common)
    if only_marked:
        return _discs(axes, values, info, marked & known, known, common)
    image, _ = mne.viz.plot_topomap(
        values[known],
        mne.pick_info(info, np.flatnonzero(known)),
        mask=marked[known],
        mask_params={"marker": "o", "markerfacecolor": "w", "markeredgecolor": "k", "markersize": 5},
        contours=_contours(values, limit),
        **common,
    )
    return image


def _discs(
    axes: Axes, values: np.ndarray, info: mne.Info, shown: np.ndarray, known: np.ndarray, common: dict[str, Any]
) -> Any:
    """Draw coloured discs where channels are shown, with a dotted edge below zero, and dots where they are not."""
    _empty_map(info, known, {"marker": ".", "color": "0.5", "markersize": 3}, common)
    dots = next(line for line in axes.lines if line.get_marker() == ".")  # lines without a marker are the head
    x, y = (np.asarray(part) for part in dots.get_data())
    low, high = common["vlim"]
    size = min(140.0, 4500 / len(values))
    edge = {"edgecolors": "k", "linewidths": 1, "linestyles": ["-" if value >= 0 else ":" for value in values[shown]]}
    look = {"cmap": common["cmap"], "vmin": low, "vmax": high, "zorder": 5, **edge}
    return axes.scatter(x[shown[known]], y[shown[known]], size, values[shown], **look)


def _empty_map(info: mne.Info, mask: np.ndarray, look: dict[str, Any], common: dict[str, Any]) -> None:
    """Draw a head without colour, with some channels marked."""
    import mne

    zeros = np.zeros(len(mask))
    mne.viz.plot_topomap(zeros, info, mask=mask, mask_params=look, sensors=False, contours=0, **common)


def _contours(values: np.ndarray, limit: float) -> list[float] | int:
    """Levels at fifths of the scale but zero: the same for maps that share it; matplotlib dashes the negative ones."""
    levels = [limit * fifth / 5 for fifth in (-4, -3, -2, -1, 1, 2, 3, 4)]
    return [level for level in levels if np.nanmin(values) < level < np.nanmax(values)] or 0
