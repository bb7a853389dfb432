"""What can be said of new listeners, of new pieces, and of both at once, and what not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eegic.reports.numbers import counted, general, level, p_equals, signed, together
from eegic.results import GroupResult
from eegic.results.group import EVERYWHERE

if TYPE_CHECKING:
    import pandas as pd

_MEAN = "Intercept"  # a term


def claims(group: GroupResult, mixed: object = None) -> dict[str, str]:
    """A text per claim, by the name of the claim; `mixed` as `report_group` takes it."""
    return {"New listeners": _listeners(group), "New pieces": _pieces(group), "Both at once": _both(group, mixed)}


def everywhere(group: GroupResult) -> pd.DataFrame:
    """A row per model, of the region of all channels."""
    frame = group.to_frame("region")
    return frame[frame["region"] == EVERYWHERE]


def family(group: GroupResult) -> str:
    """How many models and regions p-values are corrected for."""
    models = counted(len(group.models), "model")
    return f"{models} and {len(group.regions)} regions" if len(group.regions) > 1 else models


def model_of(group: GroupResult, term: str) -> str | None:
    """The model whose mean gain a term of a mixed model is, if it is one."""
    if term == _MEAN and len(group.models) == 1:
        return next(iter(group.models))
    return next((name for name in group.models if term == f"model[{name}]"), None)


def _listeners(group: GroupResult) -> str:
    rows = everywhere(group)
    found = rows["model"][rows["p_listeners_maxt"] < group.settings["level"]]
    verdict = _verdict(group, list(found), f"corrected for {family(group)}", "listeners")
    return f"{verdict} This speaks of other listeners to these pieces. It does not say that other pieces would show it."


def _pieces(group: GroupResult) -> str:
    if not group.shared:
        return f"{_upper(group.notes[0])}." if group.notes else "Nothing is said of new pieces: no shared surrogates."
    rows = everywhere(group)
    found = rows["model"][rows["p_pieces"] < group.settings["level"]]
    several = "not corrected for several models" if len(group.models) > 1 else "for one model"
    return (
        f"{_verdict(group, list(found), several, 'pieces')} This speaks of these listeners with other pieces of the "
        "kind. It does not say that other listeners would show it."
    )


def _both(group: GroupResult, mixed: object) -> str:
    if mixed is None:
        return (
            "Not tested here. A claim about other listeners with other pieces takes a model in which both are random: "
            "eegic.mixed_model(group)."
        )
    n_participants = getattr(mixed, "n_participants", len(group.participants))
    n_pieces = getattr(mixed, "n_sounds", len(set(group.sounds)))
    formula = getattr(mixed, "formula", None)
    parts = [
        f"A mixed model{f' ({formula})' if formula else ''} takes listeners and pieces as random together; its "
        "table is below. It speaks of other listeners with other pieces of the kind, as far as "
        f"{counted(n_participants, 'listener')} and {counted(n_pieces, 'piece')} allow."
    ]
    if not getattr(mixed, "converged", True):
        return f"{parts[0]} It did not converge: do not use its numbers."
    table: Any = getattr(mixed, "table", mixed)
    if {"term", "estimate", "p"} <= set(table.columns) and (result := _of_means(group, table)):
        heard = len(set(zip(group.owner.tolist(), group.sounds, strict=True)))
        cautious = heard < len(group.participants) * len(set(group.sounds))
        parts = [result, _freedom(table, min(n_participants, n_pieces) if cautious else None), *parts]
        parts += [
            "The three cards may differ: this one asks more than either of the others, and its p-values are two-sided."
        ]
    return " ".join(part for part in parts if part)


def _of_means(group: GroupResult, table: pd.DataFrame) -> str:
    """Which models have a small p-value, if every term is the mean gain of a model, or of all of them."""
    models = [model_of(group, term) for term in table["term"]]
    if list(table["term"]) == [_MEAN] and len(group.models) > 1:
        gain = signed(table["estimate"].iloc[0])
        return f"The mean of all {len(group.models)} models is {gain}, {p_equals(table['p'].iloc[0])}, two-sided."
    if set(models) != set(group.models):
        return ""
    small = table["p"] < group.settings["level"]
    found = [name for name, yes in zip(models, small, strict=True) if name and yes]
    several = " and not corrected for several models" if len(models) > 1 else ""
    below = [name for name, yes in zip(models, small & (table["estimate"] < 0), strict=True) if name and yes]
    lies = f" Below zero: {together(below, 40)}." if below else ""
    return f"{_verdict(group, found, f'two-sided{several}')}{lies}"


def _freedom(table: pd.DataFrame, fewer: int | None) -> str:
    """How many degrees of freedom t has; `fewer` participants or pieces where not everybody heard every piece."""
    if "df" not in table:
        return ""
    low, high = (general(round(float(df), 1)) for df in (table["df"].min(), table["df"].max()))
    told = f"t has {low if low == high else f'{low} to {high}'} degree{'' if low == high == '1' else 's'} of freedom"
    if fewer is None or (table["df"] != fewer - 1).any():
        return f"{told}."
    return f"{told}, one less than the fewer of participants and pieces, which is cautious."


def _verdict(group: GroupResult, found: list[str], how: str, test: str = "") -> str:
    bar = f"p < {level(group.settings['level'])}"
    if test and group.p_min[test] >= group.settings["level"]:
        return f"No model could have {bar}: the smallest that so few can give is {level(group.p_min[test])}."
    if not found:
        return f"No model has {bar}, {how}. That is no evidence that nothing is there."
    if len(found) == len(group.models):
        whose = found[0] if len(found) == 1 else "Both models" if len(found) == 2 else f"All {len(found)} models"
        return f"{whose} {'has' if len(found) == 1 else 'have'} {bar}, {how}."
    rest = [name for name in group.models if name not in found]
    return f"{together(found, 40)} {'has' if len(found) == 1 else 'have'} {bar}, {how}; {together(rest, 40)} not."


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
