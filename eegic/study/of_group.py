"""The result of a group in sentences: which claim its numbers support, and which they do not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from eegic.results import GroupResult
from eegic.results.group import EVERYWHERE
from eegic.study.analysis import added_features, baseline_features, estimation, held_out, lags, null, recording
from eegic.study.numbers import counted, general, interval, level, p_equals, percent, plain, signed, span, together

if TYPE_CHECKING:
    import pandas as pd

_DIRECTION = {"greater": "one-sided (greater)", "less": "one-sided (less)", "two-sided": "two-sided"}
_SKEWED = 1.0  # skewness beyond which a sign flip is far from its level


def methods(group: GroupResult) -> str:
    """What was done, in four paragraphs: data, models, null, tests."""
    each = group.settings["each"]
    n_sounds = len(set(group.sounds))
    stretch = "trial" if each.get("gap", 0) is None else "block of time"
    data = (
        f"The results of {counted(len(group.participants), 'participant')} were put together "
        f"({together(group.participants, 40)}): {counted(len(group.owner), stretch)} of "
        f"{counted(n_sounds, 'sound')}. {_channels(group)} {recording(group.info)}"
    )
    models = (
        f"Temporal response functions predicted the EEG of each participant from {baseline_features(group)} (reduced "
        f"model), and from {'it' if len(group.baseline) == 1 else 'them'} together with {added_features(group)}. "
        f"{lags(group, each)} {estimation(each, held_out(each))}"
    )
    n_null = group.null.shape[1] if group.shared else each.get("n_null")
    number = f" Each participant has {counted(n_null, 'surrogate')}." if n_null else ""
    return "\n\n".join([data, models, f"{null(each)}{number}", _tests(group)])


def claims(group: GroupResult, mixed: object = None) -> dict[str, str]:
    """What can be said of new listeners, of new pieces, and of both, and what not."""
    return {"New listeners": _listeners(group), "New pieces": _pieces(group), "Both at once": _both(group, mixed)}


def findings(group: GroupResult) -> str:
    """What came out, in a paragraph per model, and how to read it."""
    rows = everywhere(group)
    parts = [_finding(group, row) for _, row in rows.iterrows()]
    return "\n\n".join([*parts, *claims(group).values(), reading(group)])


def reading(group: GroupResult) -> str:
    """Why raw Δr is not to be compared with zero, and what was seen only after looking."""
    rows = everywhere(group)
    low, high = signed(rows["null_mean"].min()), signed(rows["null_mean"].max())
    told = (
        "Raw Δr is not to be compared with zero: a feature that tells nothing costs accuracy on held-out EEG, so raw "
        "Δr tends to lie below zero by chance alone. Its centre without an effect is the mean of the surrogates, here "
        f"{low if low == high else f'{low} to {high}'} in the mean of participants; corrected Δr is raw Δr less that."
    )
    levels = {noise for _, noise in group.conditions.values() if np.isfinite(noise)}
    if len(levels) < 2:
        return told
    return (
        f"{told}\n\nWhich of the {len(levels)} noise levels has the largest gain was seen in these data. To claim that "
        "it is the best takes other listeners, or a contrast that was chosen beforehand."
    )


def quality(group: GroupResult) -> list[str]:
    """What a reader should know before trusting the numbers, a sentence or two each."""
    return [*_reach(group), *_skewed(group), *_pieces_in_common(group)]


def everywhere(group: GroupResult) -> pd.DataFrame:
    """A row per model, of the region of all channels."""
    frame = group.to_frame("region")
    return frame[frame["region"] == EVERYWHERE]


def _channels(group: GroupResult) -> str:
    n, all_of_them = group.n, len(group.participants)
    low, high = int(n.min()), int(n.max())
    told = f"There are {counted(len(group.ch_names), 'channel')} at {general(group.info['sfreq'])} Hz"
    if low == high == all_of_them:
        return f"{told}, with a value in every participant."
    most = f"{span(low, high, 'of')} {counted(all_of_them, 'participant')}"
    return f"{told}, with a value in {most}, by channel."


def _tests(group: GroupResult) -> str:
    test, over = group.listeners_by_region, group.settings["over"]
    many = counted(len(group.models), "model")
    regions = f" and {counted(len(group.regions), 'region')}" if len(group.regions) > 1 else ""
    signs = "all {n:,} patterns of signs" if test.exact else "{n:,} random patterns of signs (seed {seed})"
    listeners = (
        f"New listeners: corrected Δr, raw Δr less the mean of the participant's surrogates, was averaged over trials "
        f"and summarised by the {over} over channels. Its mean over participants was tested by flipping the signs of "
        f"whole participants, {signs.format(n=test.n_flips, seed=group.settings['rng'])}, "
        f"{_DIRECTION[test.alternative]}; the smallest p-value that could come out is "
        f"{level(group.p_min['listeners'])}. P-values of summaries are corrected for {many}{regions}, those of "
        f"channels for {many} and {counted(int(group.n.any(axis=0).sum()), 'channel')}, by the largest t."
    )
    if not group.shared:
        return f"{listeners} New pieces were not tested."
    return (
        f"{listeners} New pieces: the gain averaged over participants was compared with the same average under each of "
        f"{counted(group.null.shape[1], 'surrogate')}, each of which is the same exchange of pieces for everybody, "
        f"one-sided (greater); the smallest p-value that could come out is {level(group.p_min['pieces'])}. P-values of "
        "channels are corrected for channels and models by the largest studentised gain, those of summaries are not "
        "corrected for several."
    )


def _finding(group: GroupResult, row: pd.Series) -> str:
    people = counted(int(row["n"]), "participant")
    pieces = f", {p_equals(row['p_pieces'])} for new pieces" if group.shared else ""
    size = f" d = {plain(row['d'], 2)}{_of_interval(row['d_low'], row['d_high'])}." if np.isfinite(row["d"]) else ""
    share = (
        f" Alone, {int(row['significant'])} of {people} {'has' if row['significant'] == 1 else 'have'} p ≤ "
        f"{level(group.settings['level'])}. The test would find it in {percent(row['prevalence'])} of listeners like "
        f"these (most probable share; 95 % interval {percent(row['prevalence_low'])} to "
        f"{percent(row['prevalence_high'])})."
        if np.isfinite(row["prevalence"])
        else ""
    )
    return (
        f"{row['model']}: corrected Δr = {signed(row['corrected'])} ± {plain(row['se'], 4)} (mean ± SE of {people}), "
        f"{p_equals(row['p_listeners'])} for new listeners ({p_equals(row['p_listeners_maxt'])} corrected for "
        f"{_family(group)}){pieces}.{size}{share}"
    )


def _family(group: GroupResult) -> str:
    models = counted(len(group.models), "model")
    return f"{models} and {len(group.regions)} regions" if len(group.regions) > 1 else models


def _of_interval(low: float, high: float) -> str:
    return f" (95 % interval {interval(low, high)})" if np.isfinite([low, high]).all() else ""


def _listeners(group: GroupResult) -> str:
    rows = everywhere(group)
    found = rows["model"][rows["p_listeners_maxt"] < group.settings["level"]]
    return (
        f"{_verdict(group, list(found), f'corrected for {_family(group)}')} This speaks of other listeners to these "
        "pieces. It does not say that other pieces would show it."
    )


def _pieces(group: GroupResult) -> str:
    if not group.shared:
        return f"{_upper(group.notes[0])}." if group.notes else "Nothing is said of new pieces: no shared surrogates."
    rows = everywhere(group)
    found = rows["model"][rows["p_pieces"] < group.settings["level"]]
    several = "not corrected for several models" if len(group.models) > 1 else "for one model"
    return (
        f"{_verdict(group, list(found), several)} This speaks of these listeners with other pieces of the kind. It "
        "does not say that other listeners would show it."
    )


def _verdict(group: GroupResult, found: list[str], family: str) -> str:
    bar = f"p < {level(group.settings['level'])}"
    if not found:
        return f"No model has {bar}, {family}. That is no evidence that nothing is there."
    if len(found) == len(group.models):
        whose = found[0] if len(found) == 1 else "Both models" if len(found) == 2 else f"All {len(found)} models"
        return f"{whose} {'has' if len(found) == 1 else 'have'} {bar}, {family}."
    rest = [name for name in group.models if name not in found]
    return f"{together(found, 40)} {'has' if len(found) == 1 else 'have'} {bar}, {family}; {together(rest, 40)} not."


def _both(group: GroupResult, mixed: object) -> str:
    if mixed is None:
        return (
            "Not tested here. A claim about other listeners with other pieces takes a model in which both are random: "
            "eegic.mixed_model(group)."
        )
    formula = getattr(mixed, "formula", None)
    told = (
        f"A mixed model{f' ({formula})' if formula else ''} takes listeners and pieces as random together; its "
        "table is below. It speaks of other listeners with other pieces of the kind, as far as "
        f"{counted(len(group.participants), 'listener')} and {counted(len(set(group.sounds)), 'piece')} allow."
    )
    return told if getattr(mixed, "converged", True) else f"{told} It did not converge: do not use its numbers."


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _reach(group: GroupResult) -> Iterator[str]:
    """Tests that could not have found anything."""
    bar = group.settings["level"]
    for whom, p_min in group.p_min.items():
        if p_min >= bar:
            yield (
                f"For new {whom}, no p-value below {level(bar)} could come out: the smallest is {level(p_min)}. Take "
                f"more {'participants' if whom == 'listeners' else 'surrogates, or pieces'}."
            )


def _skewed(group: GroupResult) -> Iterator[str]:
    for _, row in everywhere(group).iterrows():
        skewness = row["skewness"]
        if np.isfinite(skewness) and abs(skewness) > _SKEWED:
            yield (
                f"Corrected Δr of {row['model']} is skewed over participants ({signed(skewness, 1)}); sign flips take "
                f"errors to be symmetric. {_tail(skewness, group.settings['alternative'])} Compare the tests of the "
                f"trimmed mean ({p_equals(row['p_trimmed'])}) and of the median ({p_equals(row['p_median'])})."
            )


def _tail(skewness: float, alternative: str) -> str:
    """What skewness does to the test that was made: the tail on its other side is too easily reached."""
    if alternative == "two-sided":
        return f"A mean {'below' if skewness > 0 else 'above'} zero has too small a p-value."
    if (skewness > 0) == (alternative == "greater"):
        return "In the direction tested that makes the p-value too large, if anything."
    return "In the direction tested the p-value is too small."


def _pieces_in_common(group: GroupResult) -> Iterator[str]:
    n_sounds = len(set(group.sounds))
    if group.shared and n_sounds < 6:
        yield (
            f"There are {counted(n_sounds, 'piece')}: what holds for so few is hardly a claim about others, whatever p."
        )
