"""Figures of what the models of a group tell beyond the baseline: one bar per model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic.results import GroupResult
from eegic.results.group import EVERYWHERE
from eegic.trf.scores import mean_defined
from eegic.viz.look import COLOURS, HATCHES, LETTER, finished, inches, legend_above, own_axes, widest, wrapped
from eegic.viz.summaries import below, check_result, chosen, counted, families, mean_and_error, over

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GAP = 0.7  # between levels, in bars
_MARGIN = 0.9  # left of the first bar's middle, and right of the last one's
_WIDTH = 0.62  # of a bar
_STEM = -0.48  # from the middle of a bar: where raw gain and null stand, beside it
_MARK = 0.25  # half the width of a star and a dagger, in bars
_RAW: dict[str, Any] = {
    "marker": "D",
    "color": "k",
    "linestyle": "",
    "markerfacecolor": "w",
    "markersize": 3.2,
    "markeredgewidth": 0.8,
}
_CHANCE: dict[str, Any] = {"marker": "_", "color": "k", "linestyle": "", "markersize": 5}


def plot_delta_r(
    group: GroupResult,
    *,
    region: str = EVERYWHERE,
    models: str | Sequence[str] | None = None,
    axes: Axes | None = None,
) -> Figure:
    """Draw what each model tells beyond the baseline: bars over noise levels, with every participant.

    A bar is the mean over participants of the corrected gain, with its standard error. Points are participants, and
    lines join what one participant has at several noise levels of a family. To the left of each bar, a stem leads
    from the mean of the null (dash) to the raw gain (diamond). It is as long as the bar if channels are averaged, and
    about as long if their median is taken.

    Parameters
    ----------
    group : GroupResult
    region : str
        Channels that become one value per participant, by the median or mean as `group_test` was told.
    models : sequence of str, optional
        By default all. Families stand side by side at each noise level; models without one stand alone.
    axes : matplotlib Axes, optional
        The legend stands above them; ``plt.subplots(layout="constrained")`` leaves room for it.

    Returns
    -------
    matplotlib Figure

    Notes
    -----
    A star stands for new listeners: sign flips, corrected for all models and regions of the group, whether drawn or
    not. A dagger stands for new pieces: surrogates, not corrected. Without shared surrogates there are no daggers.

    Examples
    --------
    >>> import eegic as ei
    >>> study = ei.datasets.simulate_study(3, 6, duration=8, n_channels=8, snr=0.1, progress=False, rng=0)
    >>> results = [ei.cortical_tracking(person, study.envelopes, study.surprisal, tmax=0.3, alphas=[0.01, 1.0, 100.0],
    ...                                 n_folds=3, n_null=19, rng=0, progress=False) for person in study.participants]
    >>> figure = ei.plot_delta_r(ei.group_test(results))
    """
    check_result("plot_delta_r", group, GroupResult)
    at, bars = group.region_row(region), _bars(group, models)
    width = bars[-1].x + 2 * _MARGIN
    axes = own_axes(axes, (min(max(3.5, 1.2 + 0.36 * width), 11.0), 4.0))
    lines = _join_participants(axes, group, at, bars)
    tops = [max(_draw_bar(axes, group, at, bar), _highest(lines, bar.x)) for bar in bars]
    _mark(axes, group, at, bars, tops)
    axes.axhline(0, color="k", linewidth=0.8, zorder=1)
    axes.set(xlim=(-_MARGIN, width - _MARGIN), ylabel=f"Corrected Δr\n({over(group, region)})")
    _ticks(axes, bars)
    _legend(axes, group, at, bars)
    return finished(axes)


@dataclass(frozen=True)
class _Bar:
    """A model: number of its row and family, its place in order, the name of the tick below, and where it stands."""

    row: int
    family: int
    alone: bool  # without a noise level
    level: float  # a number of its own, if alone
    label: str
    x: float = 0.0


def _bars(group: GroupResult, models: str | Sequence[str] | None) -> list[_Bar]:
    """Bars from left to right, a unit wide: levels in order, families side by side, then models without a level."""
    names = chosen(group, models)
    known, every = families(group), [family for family, _ in group.conditions.values()]
    bars = []
    for place, name in enumerate(names):
        row = group.row(name)
        family, noise = group.conditions[name]
        alone = bool(np.isnan(noise))
        label = wrapped(family if every.count(family) == 1 else name, 20) if alone else f"{noise:g}"
        bars.append(_Bar(row, known.index(family), alone, place if alone else noise, label))
    bars.sort(key=lambda bar: (bar.alone, bar.level, bar.family))
    steps = [
        1.0 if (left.alone, left.level) == (right.alone, right.level) else 1 + _GAP for left, right in pairwise(bars)
    ]
    return [replace(bar, x=float(x)) for bar, x in zip(bars, np.cumsum([0.0, *steps]), strict=True)]


def _draw_bar(axes: Axes, group: GroupResult, at: int, bar: _Bar) -> float:
    """Draw a bar with its error and participants, and the raw gain above its null; return the highest value drawn."""
    values = group.summary[bar.row, at]
    mean, error = mean_and_error(values)
    raw, chance = (mean_defined(group.over_regions(part)[bar.row, at]) for part in (group.gain, group.null_mean))
    axes.bar(bar.x, mean, _WIDTH, zorder=1, **_fill(bar.family))
    axes.plot(bar.x + _beside(len(values)), values, zorder=3, **_people(len(values)))
    axes.errorbar(bar.x, mean, error, color="k", linewidth=1.6, capsize=3, zorder=4)
    axes.plot([bar.x + _STEM] * 2, [chance, raw], color="k", linewidth=0.8, zorder=5)
    axes.plot(bar.x + _STEM, raw, zorder=6, **_RAW)
    axes.plot(bar.x + _STEM, chance, zorder=6, **_CHANCE)
    return float(np.fmax.reduce([0.0, raw, chance, mean, mean + error, *values]))


def _join_participants(axes: Axes, group: GroupResult, at: int, bars: Sequence[_Bar]) -> list[np.ndarray]:
    """Draw a thin line per participant through the noise levels of each family; return them, (2, n_levels) each."""
    n, lines = len(group.participants), []
    for family in dict.fromkeys(bar.family for bar in bars if not bar.alone):
        levels = [bar for bar in bars if bar.family == family and not bar.alone]
        places = np.array([bar.x for bar in levels])[:, None] + _beside(n)
        values = group.summary[[bar.row for bar in levels], at]
        axes.plot(places, values, color=COLOURS[family % len(COLOURS)], linewidth=0.6, alpha=_faint(n), zorder=2)
        lines += list(np.stack([places, values]).transpose(2, 0, 1))
    return lines


def _highest(lines: Sequence[np.ndarray], x: float) -> float:
    """Where lines of participants, of other families too, pass highest above the middle of a bar."""
    near = x + np.linspace(-_MARK, _MARK, 7)
    heights = [np.interp(near, places, values, left=np.nan, right=np.nan) for places, values in lines]
    return float(np.fmax.reduce([0.0, *np.ravel(heights)]))


def _mark(axes: Axes, group: GroupResult, at: int, bars: Sequence[_Bar], tops: Sequence[float]) -> None:
    """Write stars and daggers above all that is drawn at a bar, and make room for them."""
    from matplotlib.patheffects import withStroke

    level = group.settings["level"]
    listeners, pieces = group.listeners_by_region.p_maxt[:, at], group.p_pieces_by_region[:, at]
    for bar, top in zip(bars, tops, strict=True):
        text = "*" * bool(listeners[bar.row] < level) + "†" * bool(pieces[bar.row] < level)
        mark = axes.annotate(text, (bar.x, top), (0, 1), textcoords="offset points", ha="center", va="bottom")
        mark.set_path_effects([withStroke(linewidth=2, foreground="w")])  # lines of participants pass behind
    low, high = axes.get_ylim()
    axes.set_ylim(low, max(high, max(tops) + 0.13 * (high - low)))


def _ticks(axes: Axes, bars: Sequence[_Bar]) -> None:
    """Write noise levels and names below the bars, names aslant where they have no room."""
    groups = [list(some) for _, some in groupby(bars, lambda bar: (bar.alone, bar.level))]
    places = np.array([np.mean([bar.x for bar in some]) for some in groups])
    labels = [some[0].label for some in groups]
    axes.set_xticks(places, labels, fontsize="small" if bars[-1].alone else None)
    axes.tick_params(axis="x", length=0)
    room = inches(axes) / np.ptp(axes.get_xlim()) * np.diff(places)
    needed = LETTER * np.array([(widest([a]) + widest([b])) / 2 + 1 for a, b in pairwise(labels)])
    if (needed > room).any():
        for some, text in zip(groups, axes.get_xticklabels(), strict=True):
            if some[0].alone:
                text.set(rotation=30, ha="right", rotation_mode="anchor")
    noisy = [x for x, some in zip(places, groups, strict=True) if not some[0].alone]
    if noisy and bars[-1].alone:  # right below the levels, beside the names
        where: dict[str, Any] = {"xycoords": axes.get_xaxis_transform(), "textcoords": "offset points"}
        axes.annotate("Noise level", (float(np.mean(noisy)), 0), (0, -17), ha="center", va="top", **where)
    elif noisy:
        axes.set_xlabel("Noise level")


def _legend(axes: Axes, group: GroupResult, at: int, bars: Sequence[_Bar]) -> None:
    """Say above the axes what is drawn, and what the marks stand for."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    known, level = families(group), below(group.settings["level"])
    noisy = dict.fromkeys(sorted(bar.family for bar in bars if not bar.alone))
    n = int(np.isfinite(group.summary[[bar.row for bar in bars], at]).any(axis=0).sum())
    entries: dict[str, Any] = {wrapped(known[family], 26): Patch(**_fill(family)) for family in noisy}
    entries["raw Δr and its null"] = (Line2D([], [], **_RAW), Line2D([], [], **_CHANCE))
    n_models, n_regions = group.listeners_by_region.p_maxt.shape
    family = " × ".join(f"{n} {what}" for n, what in ((n_models, "models"), (n_regions, "regions")) if n > 1)
    lines = [f"mean ± SE, dots: {counted(n, 'participant')}"]
    lines += [f"* {level}, new listeners" + (f" (max-T, {family})" if family else "")]
    lines += [f"† {level}, new pieces" + (" (not corrected)" if family else "")] if group.shared else []
    legend_above(axes, entries, lines)


def _fill(family: int) -> dict[str, Any]:
    """Light colour, hatches and edge of the bars of a family."""
    from matplotlib.colors import to_rgb

    colour = COLOURS[family % len(COLOURS)]
    light = [0.7 + 0.3 * part for part in to_rgb(colour)]  # not transparent: in SVG hatches would be, too
    return {"facecolor": light, "edgecolor": colour, "hatch": HATCHES[family % len(HATCHES)]}


def _people(n: int) -> dict[str, Any]:
    """Points of participants, the fainter the more there are."""
    return {"color": "0.15", "marker": "o", "markersize": 2.6, "linestyle": "", "alpha": _faint(n)}


def _faint(n: int) -> float:
    return float(min(0.75, 2 / np.sqrt(n)))


def _beside(n: int) -> np.ndarray:
    """Places of participants in a bar, from its middle."""
    return np.linspace(-0.24, 0.24, n) if n > 2 else np.array([-0.12, 0.12])[:n]
