"""The result of one participant in sentences."""

from __future__ import annotations

from collections.abc import Iterator

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
from eegic.reports.numbers import (
    counted,
    general,
    level,
    p_equals,
    percent,
    plain,
    seconds,
    signed,
    together,
)
from eegic.results import Tracking
from eegic.trf.scores import mean_defined

LEVEL = 0.05
_ENOUGH = 460.0  # seconds
_LEAKING = 0.3  # r, mean over channels
_EDGE = 0.25  # share of fits at an end of the grid that is worth a sentence


def methods(result: Tracking) -> str:
    """What was done, in three paragraphs: data, models, null."""
    n_trials, n_pieces = len(result.stimuli), len(set(result.sounds))
    used, total = used_time(result), total_time(result)
    left = "all of which was used" if used == total else f"of which {seconds(used)} ({percent(used / total)}) were used"
    data = (
        f"The EEG of {result.participant} was analysed: {counted(n_trials, 'trial')} of {counted(n_pieces, 'piece')}, "
        f"{seconds(total)} in all, {left}. {channels(result)} {recording(result.info)}"
    )
    folds = held_out(result.settings, result.alpha.shape[1], n_pieces)
    models = (
        f"Temporal response functions predicted the EEG from {baseline_features(result)} (reduced model), and from "
        f"{'it' if len(result.baseline) == 1 else 'them'} together with {added_features(result)}. "
        f"{lags(result, result.settings)} {estimation(result.settings, folds)}"
    )
    return "\n\n".join([data, models, f"{null(result.settings)} {_surrogates(result)}"])


def findings(result: Tracking) -> str:
    """What came out, in a paragraph per model, and how to read it."""
    rows = scores(result)
    parts = [_finding(result, name, row) for name, row in rows.items()]
    return "\n\n".join([*parts, reading(result)])


def reading(result: Tracking) -> str:
    """Why raw Δr is not to be compared with zero, and what the p-values say; both hold for every result."""
    rows = scores(result)
    several = "" if len(rows) == 1 else " The p-value of a mean over channels is not corrected for several models."
    return "\n\n".join(
        [
            why_not_zero([row["null"] for row in rows.values()]),
            "The p-values ask whether these features, in time with these pieces, predict the EEG of this participant "
            f"better than exchanged ones would. Other listeners are another question.{several}",
        ]
    )


def scores(result: Tracking) -> dict[str, dict[str, float]]:
    """Of each model: means over channels of r, raw gain, null and corrected gain, its standard error, p and counts."""
    gain, chance = over_channels(result.gain), over_channels(result.null).T
    p, se = stats.p_value(gain, chance), stats.error_of_corrected(chance)
    reduced, full = (
        over_channels(mean_defined(result.r_reduced)),
        over_channels(mean_defined(result.r_full.swapaxes(0, 1))),
    )
    found = (result.p_maxt < LEVEL).sum(axis=1)
    return {
        name: {
            "r_reduced": float(reduced),
            "r_full": float(full[row]),
            "raw": float(gain[row]),
            "null": float(chance[:, row].mean()),
            "corrected": float(gain[row] - chance[:, row].mean()),
            "se": float(se[row]),
            "p": float(p[row]),
            "found": int(found[row]),
            "channels": int(np.isfinite(result.p_maxt[row]).sum()),
        }
        for row, name in enumerate(result.models)
    }


def quality(result: Tracking) -> list[str]:
    """What a reader should know before trusting the numbers, a sentence or two each."""
    return [
        _amount(result),
        _plausible(result),
        _ceiling(result),
        *_noisy(result),
        *_at_the_edge(result),
    ]


def used_time(result: Tracking) -> float:
    """Seconds of EEG that were scored."""
    return float(result.n_samples.sum() / result.info["sfreq"])


def total_time(result: Tracking) -> float:
    """Seconds of the trials, or of the blocks that were cut from them."""
    return float(np.diff(result.segments[:, 1:]).sum() / result.info["sfreq"])


def over_channels(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis of what is defined."""
    return np.asarray(mean_defined(np.moveaxis(values, -1, 0)))


def channels(result: Tracking) -> str:
    """How many channels there are, at which rate, and which have no value."""
    known = np.isfinite(result.gain).any(axis=0)
    without = [name for name, some in zip(result.ch_names, known, strict=True) if not some]
    told = f"It has {counted(len(known), 'channel')} at {general(result.info['sfreq'])} Hz"
    if not without:
        return f"{told}, all with a value."
    return f"{told}; {together(without, 40)} {'has' if len(without) == 1 else 'have'} no value (bad, flat or missing)."


def _surrogates(result: Tracking) -> str:
    n = result.null.shape[1]
    drawn = (
        f"All {n:,} exchanges that are possible besides the real order were made"
        if result.exact
        else f"{counted(n, 'surrogate')} {'was' if n == 1 else 'were'} drawn at random "
        f"(seed {result.settings.get('rng', 'unknown')})"
    )
    tested = int(np.isfinite(result.p_maxt).any(axis=0).sum())
    models = f" and {counted(len(result.models), 'model')} together" if len(result.models) > 1 else ""
    return (
        f"{drawn}, so the smallest p-value that could come out is {level(result.p_min)}. P-values are one-sided: the "
        f"share of gains, the real one included, that are at least as large as the real one. P-values of channels are "
        f"corrected for {counted(tested, 'channel')}{models}, by the largest studentised gain."
    )


def _finding(result: Tracking, name: str, row: dict[str, float]) -> str:
    error = f" ± {plain(row['se'], 4)} (SE when nothing is there)" if np.isfinite(row["se"]) else ""
    n, found = int(row["channels"]), int(row["found"])
    # with too few surrogates nothing can be below the level, which says nothing of the feature
    below = f" With {counted(result.null.shape[1], 'surrogate')}, no p-value below {level(LEVEL)} can come out."
    return (
        f"{name}: corrected Δr = {signed(row['corrected'])}{error}, {p_equals(row['p'])}, mean over "
        f"{counted(n, 'channel')}. {found} of {n} {'has' if found == 1 else 'have'} p < {level(LEVEL)}, corrected for "
        f"all channels{' and models' if len(result.models) > 1 else ''}.{below if result.p_min >= LEVEL else ''}"
    )


def _amount(result: Tracking) -> str:
    used, total = used_time(result), total_time(result)
    told = f"{seconds(used)} of EEG were used, {percent(used / total)} of {seconds(total)}."
    if used >= _ENOUGH:
        return told
    return (
        f"{told} That is less than the {_ENOUGH:.0f} s or so that stable response functions of speech took "
        "(doi:10.3389/fnhum.2022.1001171): small effects may be missed, and a p-value above .05 says little."
    )


def _plausible(result: Tracking) -> str:
    r = mean_defined(np.concatenate([result.r_reduced[None], result.r_full]).swapaxes(0, 1))  # models, channels
    if not np.isfinite(r).any():
        return "No channel has a score."
    highest, best = float(np.nanmax(over_channels(r))), int(np.nanargmax(np.fmax.reduce(r)))
    told = (
        f"The highest held-out r of a model is {plain(highest)} in the mean over channels, and "
        f"{plain(np.nanmax(r[:, best]))} in the best channel, {result.ch_names[best]}."
    )
    if highest <= _LEAKING:
        return told
    return (
        f"{told} That is far above what scalp EEG allows (envelopes of attended speech: about 0.03 to 0.05 in the mean "
        "over channels): look for leakage, such as sound in the EEG, or one piece under two names in several folds."
    )


def _ceiling(result: Tracking) -> str:
    ceiling = result.ceiling
    if ceiling is None:
        return "There is no noise ceiling: it takes pieces that were heard more than once, or other listeners."
    heard = counted(ceiling.n_sounds, "piece")
    source = (
        f"{ceiling.n_repeats} presentations of {heard}"
        if ceiling.kind == "repeats"
        else f"{ceiling.n_repeats} listeners to {heard}"
    )
    told = f"Noise ceiling from {source}: defined in {int(ceiling.defined.sum())} of {len(ceiling.r)} channels"
    if not ceiling.defined.any():
        return f"{told}, since intervals reach zero or r is below 0.05, so no share of it is given."
    best = int(np.nanargmax(np.where(ceiling.defined, ceiling.r, np.nan)))
    low, high = np.sqrt(np.clip(ceiling.interval[:, best], 0, None))
    return (
        f"{told}. It is highest at {result.ch_names[best]}: no model of what was heard can reach more than r = "
        f"{plain(ceiling.r[best])} there (95 % interval {plain(low)} to {plain(high)})."
    )


def _noisy(result: Tracking) -> Iterator[str]:
    for name, explained, left in zip(result.added, result.explained, result.reliability, strict=True):
        told = f"The lagged baseline explains {percent(explained)} of the variance of {name}."
        yield (
            told
            if left >= 0.99
            else (
                f"{told} Of the rest, {percent(left)} is not noise of its estimator; "
                "corrected Δr is about that share of what exact values would give."
            )
        )


def _at_the_edge(result: Tracking) -> Iterator[str]:
    grid = np.asarray(result.settings.get("alphas", []), dtype=float).ravel()
    if len(grid) > 1:
        share = float(np.mean(np.isin(result.alpha, (grid.min(), grid.max()))))
        if share > _EDGE:
            yield (
                f"In {percent(share)} of the fits the chosen regularisation is the smallest or the largest of the "
                "grid: widen it."
            )
