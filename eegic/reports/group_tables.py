"""The tables of a group's report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic.reports.claims import model_of
from eegic.reports.numbers import NONE, general, interval, level, p_value, percent, plain, signed
from eegic.reports.of_group import FEWEST, ends_of_d, too_few
from eegic.reports.page import Page
from eegic.results import GroupResult

if TYPE_CHECKING:
    import pandas as pd

_P = ("p", "p_maxt", "p_listeners", "p_pieces")  # columns of a mixed model that are p-values
_MANY = 12  # participants, from which on intervals of d are nearly as long as they should be


def table_of(mixed: object) -> pd.DataFrame | None:
    """The table of a mixed model, which may itself be one."""
    import pandas as pd

    table = getattr(mixed, "table", mixed)
    if table is not None and not isinstance(table, pd.DataFrame):
        raise TypeError(f"mixed: expected what `mixed_model` gives, or a DataFrame, got {type(mixed).__name__}.")
    return table


def _labels(group: GroupResult, frame: pd.DataFrame) -> list[str]:
    """What names a row: the model, and the region where there are several."""
    if len(group.regions) == 1:
        return list(frame["model"])
    return [f"{model}, {region}" for model, region in zip(frame["model"], frame["region"], strict=True)]


def add_tests(page: Page, group: GroupResult) -> None:
    """Gains and p-values, sizes, and counts of participants: a row per model and region in each."""
    frame, bar = group.to_frame("region"), level(group.settings["level"])
    labels, rows = _labels(group, frame), [row for _, row in frame.iterrows()]
    page.heading("Gains and p-values")
    page.table(
        "Gains and p-values of every model",
        (
            "Model",
            "n",
            "Raw Δr",
            "Null centre",
            "Corrected Δr ± SE",
            "p listeners",
            "p corrected",
            "p pieces",
        ),
        (
            (
                label,
                int(row["n"]),
                signed(row["delta_r"]),
                signed(row["null_mean"]),
                f"{signed(row['corrected'])} ± {plain(row['se'], 4)}",
                p_value(row["p_listeners"]),
                p_value(row["p_listeners_maxt"]),
                p_value(row["p_pieces"]),
            )
            for label, row in zip(labels, rows, strict=True)
        ),
    )
    page.prose(_note_on_gains(group), kind="note")
    page.heading("Sizes and robustness")
    page.table(
        "Effect sizes and robust tests",
        ("Model", "d", "95 % interval", "Skewness", "p trimmed mean", "p median"),
        (
            (
                label,
                plain(row["d"], 2),
                interval(*ends_of_d(row)),
                signed(row["skewness"], 1),
                p_value(row["p_trimmed"]),
                p_value(row["p_median"]),
            )
            for label, row in zip(labels, rows, strict=True)
        ),
    )
    page.prose(_note_on_sizes(group, frame["n"]), kind="note")
    page.heading("How many participants")
    page.table(
        "Participants with an effect of their own",
        ("Model", f"Participants with p ≤ {bar}", "p of so many", "Share of listeners", "95 % interval"),
        (
            (
                label,
                f"{row['significant']:.0f} of {row['n']:.0f}" if np.isfinite(row["significant"]) else NONE,
                p_value(row["p_count"]),
                percent(row["prevalence"]),
                f"{percent(row['prevalence_low'])} to {percent(row['prevalence_high'])}"
                if np.isfinite(row["prevalence_low"])
                else NONE,
            )
            for label, row in zip(labels, rows, strict=True)
        ),
    )
    page.prose(
        "Each participant tested alone. p of so many: from the surrogates that all share. Share: of listeners in whom "
        "this test, on as much data, would find an effect; most probable value and credible interval.",
        kind="note",
    )


def _note_on_gains(group: GroupResult) -> str:
    many = "all models and regions" if len(group.regions) > 1 else "all models"
    told = (
        f"Means over participants of the {group.settings['over']} over channels. Corrected: for {many}. p pieces is "
        "not corrected for several."
    )
    if group.settings["over"] != "median":
        return told
    return f"{told} Each Δr has a median of its own, so raw Δr less null centre is not quite the corrected Δr."


def _note_on_sizes(group: GroupResult, n: pd.Series) -> str:
    parts = ["d: mean over participants divided by their SD. p: for new listeners, not corrected."]
    if n.min() < FEWEST:
        parts += [f"Fewer than {FEWEST} participants are too few for an interval of d."]
    if ((n >= FEWEST) & (n < _MANY)).any():
        parts += [
            "With so few participants intervals of d are too short: they hold the true d in about 86 % of studies of "
            "6 participants and 88 % of those of 8, not in 95 %."
        ]
    return " ".join([*parts, too_few(group, int(n.max()))]).rstrip()


def add_mixed(page: Page, group: GroupResult, mixed: object, table: pd.DataFrame) -> None:
    """Fixed effects, and the peak of each family where there is one."""
    page.heading("Listeners and pieces together: mixed model")
    page.table(
        "Mixed model",
        [str(name) for name in table.columns],
        ([_cell(group, str(name), value) for name, value in row.items()] for _, row in table.iterrows()),
    )
    page.prose("Estimates in units of Δr; p-values are two-sided, and not corrected for several rows.", kind="note")
    peaks: Mapping[str, tuple[float, float, float]] = getattr(mixed, "peaks", {})
    page.bullets(_peak(group, family, *ends) for family, ends in peaks.items())
    page.bullets(getattr(mixed, "notes", ()))


def _peak(group: GroupResult, family: str, at: float, low: float, high: float) -> str:
    """Where the curve of a family is highest, as far as the levels that were measured tell."""
    if not np.isfinite(at):
        return f"{family}: the fitted curve has no highest point within the levels that were measured."
    levels = [noise for own, noise in group.conditions.values() if own == family and np.isfinite(noise)]
    least, most = min(levels, default=at), max(levels, default=at)
    told = f"{family}: the fitted curve is highest at a noise level of {plain(at, 2)}"
    if least <= low and high <= most:
        return f"{told} (95 % interval {interval(low, high)})."
    told = f"{told}; its 95 % interval"
    if low < least and high > most:
        return f"{told} reaches beyond the lowest and the highest level that were measured."
    if low < least:
        return f"{told} reaches beyond {general(least)}, the lowest level, and ends at {plain(high, 2)}."
    return f"{told} begins at {plain(low, 2)} and reaches beyond {general(most)}, the highest level."


def _cell(group: GroupResult, name: str, value: Any) -> str:
    """A value of a table that may come from anywhere; a term that is the mean of a model is called by the model."""
    if name == "term":
        return model_of(group, str(value)) or str(value)
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        return str(value)
    if name in _P:
        return p_value(float(value))
    return plain(float(value), 2 if name in ("t", "df") else 4)
