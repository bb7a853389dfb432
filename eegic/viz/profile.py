"""Figures over noise levels: what models tell about the EEG, and what they know of true surprisal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic import _checks
from eegic.results import GroupResult
from eegic.results.group import EVERYWHERE
from eegic.viz.look import COLOURS, LINES, MARKERS, finished, legend_above, own_axes, two_axes, wrapped
from eegic.viz.summaries import check_result, counted, families, mean_and_error, over

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_APART = 0.08  # between families, in steps of the noise level: error bars do not hide each other


def plot_noise_profile(
    group: GroupResult,
    *,
    agreement: Mapping[str, Sequence[float]] | pd.DataFrame | None = None,
    region: str = EVERYWHERE,
    axes: Axes | Sequence[Axes] | None = None,
) -> Figure:
    """Draw the corrected gain over the noise level, mean and standard error over participants, a line per family.

    Parameters
    ----------
    group : GroupResult
        Models without a noise level are left out.
    agreement : dict of str to sequence of float, or DataFrame, optional
        Correlation of information content with true surprisal, drawn in a panel below. A dictionary has for each family
        a value per noise level, in the order of levels. A table has columns ``family`` (or ``what``), ``noise`` and
        ``rho``, and perhaps ``rho_low`` and ``rho_high``, the ends of an interval, as `eegic.recipes.assess` gives it;
        a row without noise level becomes a line across.
    region : str
        Channels that become one value per participant, by the median or mean as `group_test` was told.
    axes : matplotlib Axes, optional
        Two of them, if there is an agreement. Legends stand above them.

    Returns
    -------
    matplotlib Figure
    """
    check_result("plot_noise_profile", group, GroupResult)
    at = group.region_row(region)
    gains = _gains(group, at)
    if not gains:
        raise ValueError(
            "plot_noise_profile: no model has a noise level. `group_test(results, conditions={'IC 0.3': ('IC', 0.3)})` "
            "gives it one; models without are drawn by `plot_delta_r`."
        )
    agreements = {} if agreement is None else _agreements(agreement, gains)
    names = list(dict.fromkeys((*families(group), *agreements)))
    levels = np.unique(np.concatenate([table[0] for table in (*gains.values(), *agreements.values())]))
    levels, alone = levels[np.isfinite(levels)], axes is None
    if agreements:
        panels = two_axes(axes, (4.4, 5.6), "gains and agreement")  # type: ignore[arg-type]
        _draw(panels[1], agreements, names, levels)
        panels[1].set_ylabel("Correlation with\ntrue surprisal")
        _legend(panels[1], [name for name in agreements if name not in gains])
    else:
        panels = [own_axes(axes, (4.4, 3.6))]  # type: ignore[arg-type]
    _draw(panels[0], gains, names, levels)
    panels[0].set_ylabel(f"Corrected Δr\n({over(group, region)})")
    n = int(np.isfinite(group.summary[:, at]).any(axis=0).sum())
    _legend(panels[0], gains, [f"mean ± SE, {counted(n, 'participant')}"])
    panels[0].tick_params(labelbottom=not (alone and agreements))
    panels[-1].set_xlabel("Noise level")
    return finished(panels[0])


def _gains(group: GroupResult, at: int) -> dict[str, np.ndarray]:
    """Of each family: noise level, mean and the ends of its error, a column per level, in order of levels."""
    gains: dict[str, list[list[float]]] = {}
    for values, (family, noise) in zip(group.summary[:, at], group.conditions.values(), strict=True):
        if not np.isnan(noise):
            mean, error = mean_and_error(values)
            gains.setdefault(family, []).append([noise, *map(float, (mean, mean - error, mean + error))])
    return {family: np.array(sorted(rows)).T for family, rows in gains.items()}


def _agreements(agreement: object, gains: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same of correlations; their ends are NaN where they are not known."""
    import pandas as pd

    if isinstance(agreement, pd.DataFrame):
        return _of_table(agreement)
    if not isinstance(agreement, Mapping):
        raise TypeError(
            f"agreement: expected a dictionary from family to correlations, or a DataFrame, got "
            f"{type(agreement).__name__}. Write {{{next(iter(gains))!r}: [0.1, 0.2]}}."
        )
    tables = {}
    for family, values in agreement.items():
        levels = gains[_checks.one_of("agreement", family, gains)][0]
        rho = _checks.real_array(f"agreement[{family!r}]", values, 1, axes="(n_levels,)")
        if len(rho) != len(levels):
            raise ValueError(
                f"agreement[{family!r}]: expected a value per noise level ({_checks.listed(levels.tolist())}), got "
                f"{len(rho)}."
            )
        tables[family] = np.stack([levels, rho, *np.full((2, len(rho)), np.nan)])
    return tables


def _of_table(table: pd.DataFrame) -> dict[str, np.ndarray]:
    name = "family" if "family" in table else "what"
    missing = [column for column in (name, "noise", "rho") if column not in table]
    if missing:
        raise ValueError(
            f"agreement: expected columns 'family' (or 'what'), 'noise' and 'rho', got {_checks.listed(table.columns)}."
        )
    columns = table.reindex(columns=["noise", "rho", "rho_low", "rho_high"]).astype(float)
    rows = columns.sort_values("noise").groupby(table[name], sort=False)
    return {str(family): some.to_numpy().T for family, some in rows}


def _draw(axes: Axes, tables: Mapping[str, np.ndarray], names: Sequence[str], levels: np.ndarray) -> None:
    """Draw each table as a line with error bars, a little beside the others; one without noise level across."""
    step = np.diff(levels).min() if len(levels) > 1 else 1.0
    for place, (family, (noise, value, low, high)) in enumerate(tables.items()):
        k = names.index(family)
        look: dict[str, Any] = {
            "color": COLOURS[k % len(COLOURS)],
            "linestyle": LINES[k % len(LINES)],
            "label": wrapped(family, 26),
        }
        if np.isnan(noise).all():
            axes.axhline(value[0], linewidth=1.2, **look)
            continue
        where = noise + _APART * step * (place - (len(tables) - 1) / 2)
        axes.plot(where, value, marker=MARKERS[k % len(MARKERS)], markersize=5, linewidth=1.8, **look)
        middle, half = (low + high) / 2, (high - low) / 2  # an interval need not be around the value
        axes.errorbar(where, middle, half, fmt="none", capsize=2.5, elinewidth=1.2, ecolor=look["color"])
    axes.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    axes.set_xlim(levels[0] - 0.5 * step, levels[-1] + 0.5 * step)
    axes.set_xticks(levels, [f"{level:g}" for level in levels])
    finished(axes)


def _legend(axes: Axes, names: Iterable[str], lines: Sequence[str] = ()) -> None:
    """Put a legend of some lines above the axes, in their order."""
    drawn = {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    entries = {label: drawn[label] for label in (wrapped(name, 26) for name in names)}
    if entries:
        legend_above(axes, entries, lines)
