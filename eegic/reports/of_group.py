"""The result of a group in sentences: which claim its numbers support, and which they do not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from eegic import stats
from eegic.reports.analysis import (
    added_features,
    baseline_features,
    estimation,
    held_out,
    lags,
    null,
    recording,
    why_not_zero,
)
from eegic.reports.claims import claims, everywhere, family
from eegic.reports.numbers import counted, general, interval, level, p_equals, percent, plain, signed, span, together
from eegic.results import GroupResult

if TYPE_CHECKING:
    import pandas as pd

_SKEWED = 1.0  # skewness beyond which a sign flip is far from its level
_ROBUST = {"trimmed": "the trimmed mean", "median": "the median"}
FEWEST = 6  # participants, for an interval of d
_NOBODY: Mapping[str, str] = {}


def methods(group: GroupResult, missing: Mapping[str, str] = _NOBODY, left_out: Mapping[str, str] = _NOBODY) -> str:
    """What was done: data, models, null, tests, a paragraph each; after the data, who is not in the group, and why."""
    each = group.settings["each"]
    whole = each.get("gap", 0) is None
    stretches = counted(len(group.owner), "trial" if whole else "block") + ("" if whole else " of time")
    data = (
        f"The results of {counted(len(group.participants), 'participant')} were put together "
        f"({together(group.participants, 40)}): {stretches} of "
        f"{counted(len(set(group.sounds)), 'piece')}. {_channels(group)} {recording(group.info, 'recordings')}"
    )
    models = (
        f"Temporal response functions predicted the EEG of each participant from {baseline_features(group)} (reduced "
        f"model), and from {'it' if len(group.baseline) == 1 else 'them'} together with {added_features(group)}. "
        f"{lags(group, each)} {estimation(each, held_out(each))}"
    )
    number = f" Each participant has {counted(group.null.shape[1], 'surrogate')}." if group.shared else ""
    absent = _absent(len(group.participants), missing, left_out)
    return "\n\n".join([data, *absent, models, f"{null(each)}{number}", _tests(group)])


def findings(group: GroupResult) -> str:
    """What came out, in a paragraph per model, and how to read it."""
    rows = everywhere(group)
    parts = [_finding(group, row) for _, row in rows.iterrows()]
    return "\n\n".join([*parts, *claims(group).values(), reading(group)])


def reading(group: GroupResult) -> str:
    """Why raw Δr is not to be compared with zero, and what was seen only after looking."""
    rows = everywhere(group)
    told = why_not_zero(rows["null_mean"], " in the mean of participants")
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


def with_reason(names: Iterable[str], reason: str) -> str:
    """Participants and why something holds for them, in one line; a reason may name them itself."""
    named, why = together(names, 40), " ".join(reason.split()).rstrip(".")
    if why.startswith((f"{named}: ", f"{named}, ")):
        return why
    return f"{named}: {why}" if why else named


def _absent(n: int, missing: Mapping[str, str], left_out: Mapping[str, str]) -> Iterator[str]:
    """Who is not among the `n` participants of the group."""
    parts = []
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        parts.append(
            f"{len(missing)} of {counted(n + len(missing), 'participant')} {verb} missing ({_reasons(missing)})"
        )
    if left_out:
        whom = str(len(left_out)) if missing else counted(len(left_out), "participant")
        parts.append(f"{whom} {'was' if len(left_out) == 1 else 'were'} left out ({_reasons(left_out)})")
    if parts:
        yield f"{' and '.join(parts)}."


def _reasons(people: Mapping[str, str]) -> str:
    """People with reasons, those with the same one together."""
    alike: dict[str, list[str]] = {}
    for name, reason in people.items():
        alike.setdefault(reason, []).append(name)
    return "; ".join(with_reason(names, reason) for reason, names in alike.items())


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
        "one-sided (greater); the smallest p-value that could come out is "
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
    size = f" d = {plain(row['d'], 2)}{_of_interval(*ends_of_d(row))}." if np.isfinite(row["d"]) else ""
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
        f"{family(group)}){pieces}.{size}{share}"
    )


def _of_interval(low: float, high: float) -> str:
    return f" (95 % interval {interval(low, high)})" if np.isfinite([low, high]).all() else ""


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
    rows = everywhere(group)
    rows = rows[rows["skewness"].abs() > _SKEWED]
    for _, row in rows.iterrows():
        error = "too large, if anything" if row["skewness"] > 0 else "too small"
        yield (
            f"Corrected Δr of {row['model']} is skewed over participants ({signed(row['skewness'], 1)}); sign flips "
            f"take errors to be symmetric, so the p-value is {error}.{_to_compare(group, row)}"
        )
    if len(rows) and (few := too_few(group, int(rows["n"].max()))):
        yield few


def _to_compare(group: GroupResult, row: pd.Series) -> str:
    """Robust tests that could find something in so many participants."""
    able = [name for name in _ROBUST if smallest(group, int(row["n"]), name) < group.settings["level"]]
    tests = together(f"of {_ROBUST[name]} ({p_equals(row[f'p_{name}'])})" for name in able)
    return f" Compare the test{'' if len(able) == 1 else 's'} {tests}." if able else ""


def smallest(group: GroupResult, n: int, center: str) -> float:
    """The smallest p-value of a sign flip that `n` participants could give, all of them above zero."""
    how = {"n": group.settings["n_flips"], "rng": group.settings["rng"]}
    return float(stats.sign_flip(np.arange(1.0, n + 1), center=center, **how).p)


def too_few(group: GroupResult, n: int) -> str:
    """Which robust tests cannot find anything in `n` participants; nothing if all can."""
    floors = {name: smallest(group, n, name) for name in _ROBUST}
    unable = [name for name, p in floors.items() if p >= group.settings["level"]]
    if not unable:
        return ""
    tests, least = (together(f"of {_ROBUST[one]}" for one in unable), together(level(floors[one]) for one in unable))
    if len(unable) == 1:
        return f"{n} participants are too few for the test {tests}: its smallest p-value is {least}."
    return f"{n} participants are too few for the tests {tests}: their smallest p-values are {least}."


def ends_of_d(row: pd.Series) -> tuple[float, float]:
    """The interval of d, unless there are too few participants for one."""
    return (row["d_low"], row["d_high"]) if row["n"] >= FEWEST else (np.nan, np.nan)


def _pieces_in_common(group: GroupResult) -> Iterator[str]:
    n_sounds = len(set(group.sounds))
    if group.shared and n_sounds < 6:
        yield (
            f"There are {counted(n_sounds, 'piece')}: what holds for so few is hardly a claim about others, whatever p."
        )
