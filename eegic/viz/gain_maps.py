"""Maps of what the models of a result tell beyond the baseline, on one scale."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic import _checks
from eegic.results import GroupResult, Tracking
from eegic.trf.scores import mean_defined
from eegic.viz.look import plain, wrapped
from eegic.viz.scalp import check_positions, draw_map, good_values
from eegic.viz.summaries import below, check_shared, chosen, titles, who

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WHICH = ("listeners", "pieces")
_LEVEL = 0.05  # of one participant


def gain_maps(
    result: Tracking | GroupResult,
    label: str,
    limit: float | None,
    *,
    models: str | Sequence[str] | None,
    only_marked: bool,
    which: str | None,
) -> Figure:
    """Draw a map of the corrected gain of each model; for the arguments see `plot_topography`."""
    import matplotlib.pyplot as plt

    check_positions(result.info)
    drawn = chosen(result, models)
    rows = [list(result.models).index(name) for name in drawn]
    corrected, marked, note = _gains(result, which)
    pairs = zip(drawn, corrected[rows], strict=True)
    gains = [good_values(f"model {name!r}", one, result.info) for name, one in pairs]
    limit = float(np.nanmax(np.abs(gains))) if limit is None else limit
    n_rows, n_columns = _grid(result, drawn)
    inches, letters = (2.7, 26) if n_columns < 5 else (2.0, 21)  # of a map and its title
    names = [wrapped(titles(result)[row], letters) for row in rows]
    family = "channels and models" if len(result.models) > 1 else "channels"
    lines = [
        who(result),
        f"{'coloured' if only_marked else 'marked'}: {note}, corrected for {family}",
        *_unequal(result),
    ]
    width = inches * n_columns + 0.9
    heading = "\n".join(textwrap.fill(plain(line), int(12 * width)) for line in lines)
    n_lines = 1 + max(name.count("\n") for name in names)
    height = (inches - 0.1 + 0.17 * n_lines) * n_rows + 0.17 * (heading.count("\n") + 1) + 0.06
    layout: dict[str, Any] = {"squeeze": False, "layout": "constrained", "gridspec_kw": {"hspace": 0.08}}
    figure, panels = plt.subplots(n_rows, n_columns, figsize=(width, height), **layout)
    figure.get_layout_engine().set(h_pad=0.08)
    for panel in panels.flat[len(names) :]:
        panel.set_axis_off()
    for panel, name, values, own in zip(panels.flat, names, gains, marked[rows], strict=False):
        image = draw_map(panel, values, result.info, own, limit, only_marked=only_marked)
        panel.set_title(name, fontsize="medium")
    figure.colorbar(image, ax=panels, shrink=0.65 if n_rows == 1 else 0.4, pad=0.03).set_label(label)
    figure.suptitle(heading, fontsize="medium")
    return figure  # type: ignore[no-any-return]


def _gains(result: Tracking | GroupResult, which: str | None) -> tuple[np.ndarray, np.ndarray, str]:
    """Corrected gains and which are significant, each (n_models, n_channels), and by what."""
    if isinstance(result, Tracking):
        if which is not None:
            raise ValueError("which: chooses a test of a GroupResult; a Tracking has but one.")
        return result.corrected, result.p_maxt < _LEVEL, below(_LEVEL)
    which = _checks.one_of("which", _WHICH[0] if which is None else which, _WHICH)
    if which == "pieces":
        check_shared(result)
    p, level = result.p_pieces_maxt if which == "pieces" else result.listeners.p_maxt, result.settings["level"]
    return mean_defined(np.swapaxes(result.corrected, 0, 1)), p < level, f"{below(level)} for new {which}"


def _grid(result: Tracking | GroupResult, models: Sequence[str]) -> tuple[int, int]:
    """Rows and columns of maps: a row per family if all have as many levels, else rows of up to four."""
    if isinstance(result, GroupResult):
        sizes = {len(list(own)) for _, own in groupby(result.conditions[name][0] for name in models)}
        if len(sizes) == 1 and 1 < max(sizes) < 7:
            return len(models) // max(sizes), max(sizes)
    n_rows = -(-len(models) // 4)
    return n_rows, -(-len(models) // n_rows)


def _unequal(result: Tracking | GroupResult) -> list[str]:
    """How many participants the channels have, if some have fewer than others."""
    if isinstance(result, Tracking):
        return []
    n = result.n[result.n > 0]
    return [f"n = {n.min()} to {n.max()} per channel"] if n.min() < n.max() else []
