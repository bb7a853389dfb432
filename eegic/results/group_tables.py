"""The tables of a group: by channel, region, participant and trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eegic import stats
from eegic.results.means import standard_error
from eegic.trf.scores import mean_defined

if TYPE_CHECKING:
    import pandas as pd

    from eegic.results.group import GroupResult


def _frame(group: GroupResult, columns: dict[str, np.ndarray], **axes: Any) -> pd.DataFrame:
    """A row per combination of the axes, with family and noise level of each model."""
    import pandas as pd

    index = pd.MultiIndex.from_product(list(axes.values()), names=list(axes))
    frame = pd.DataFrame({name: np.ravel(values) for name, values in columns.items()}, index=index).reset_index()
    at = list(frame.columns).index("model") + 1
    for place, name in enumerate(("family", "noise")):
        frame.insert(at + place, name, [group.conditions[model][place] for model in frame["model"]])
    return frame


def channels(group: GroupResult) -> pd.DataFrame:
    """A row per model and channel."""
    reduced = mean_defined(group.by_participant(group.r_reduced))
    tests = group.listeners
    columns = {
        "n": group.n,
        "r_reduced": np.broadcast_to(reduced, group.n.shape),
        "delta_r": group.mean_gain,
        **_described(group.corrected.swapaxes(0, 1), group.null_mean.swapaxes(0, 1)),
        "t": tests.t,
        "p_listeners": tests.p,
        "p_listeners_maxt": tests.p_maxt,
        "p_listeners_fdr": _fdr(tests.p),
        "p_pieces": group.p_pieces,
        "p_pieces_maxt": group.p_pieces_maxt,
    }
    return _frame(group, columns, model=group.models, channel=group.ch_names)


def regions(group: GroupResult) -> pd.DataFrame:
    """A row per model and region."""
    values = group.summary.transpose(2, 0, 1)  # participant, model, region
    tests, effect = group.listeners_by_region, group.effects
    raw, chance = (group.over_regions(part).transpose(2, 0, 1) for part in (group.gain, group.null_mean))
    columns = {
        "n": tests.n,
        "delta_r": mean_defined(raw),
        **_described(values, chance),
        "t": tests.t,
        "p_listeners": tests.p,
        "p_listeners_maxt": tests.p_maxt,
        "p_trimmed": group.flips(group.summary.swapaxes(1, 2), "trimmed").p,
        "p_median": group.flips(group.summary.swapaxes(1, 2), "median").p,
        "p_pieces": group.p_pieces_by_region,
        "d": effect.d,
        "d_low": effect.low,
        "d_high": effect.high,
        "skewness": stats.skewness(values),
        **_counted(group),
    }
    return _frame(group, columns, model=group.models, region=group.regions)


def _counted(group: GroupResult) -> dict[str, np.ndarray]:
    """How many participants are significant, what share of all that implies, and whether chance gives as many."""
    names = ("significant", "prevalence", "prevalence_low", "prevalence_high", "p_count")
    found = {name: np.full(group.region_p.shape[:2], np.nan) for name in names}
    if group.settings["attainable"]:
        for at in zip(*np.nonzero(np.isfinite(group.region_p).any(axis=2)), strict=True):
            one = stats.prevalence(group.region_p[at], level=group.settings["attainable"])
            for name, value in zip(names, (one.found, one.share, one.low, one.high), strict=False):
                found[name][at] = value
            if group.shared:
                gain = group.region_gain[at]
                found["p_count"][at] = stats.count_test(gain[:, 0], gain[:, 1:].T, level=group.settings["level"])[1]
    return found


def participants(group: GroupResult) -> pd.DataFrame:
    """A row per model, region and participant."""
    columns = {
        "delta_r": group.over_regions(group.gain),
        "null_mean": group.over_regions(group.null_mean),
        "corrected": group.summary,
        "p": group.region_p,
    }
    return _frame(group, columns, model=group.models, region=group.regions, participant=group.participants)


def trials(group: GroupResult) -> pd.DataFrame:
    """A row per model, region and segment."""
    segments, raw = range(len(group.owner)), group.over_regions(group.delta_r)
    # the median over channels of a single trial is off zero when nothing is there, as Δr of trials is skewed
    means = group.by_participant(np.moveaxis(raw, -1, 0)).transpose(1, 2, 0)
    columns = {"delta_r": raw, "corrected": raw + (group.summary - means)[..., group.owner]}
    frame = _frame(group, columns, model=group.models, region=group.regions, segment=segments)
    segment = frame["segment"].to_numpy()
    frame.insert(0, "participant", np.asarray(group.participants)[group.owner[segment]])
    frame.insert(1, "stimulus", np.asarray(group.stimuli)[segment])
    frame.insert(2, "sound", np.asarray(group.sounds)[segment])
    return frame


def _described(corrected: np.ndarray, chance: np.ndarray) -> dict[str, np.ndarray]:
    """Null, mean and standard error over the first axis."""
    return {"null_mean": mean_defined(chance), "corrected": mean_defined(corrected), "se": standard_error(corrected)}


def _fdr(p: np.ndarray) -> np.ndarray:
    """Benjamini and Hochberg's, over all models and channels."""
    from statsmodels.stats.multitest import multipletests

    known, found = np.isfinite(p), np.full(p.shape, np.nan)
    if known.any():
        found[known] = multipletests(p[known], method="fdr_bh")[1]
    return found


TABLES = {"channel": channels, "region": regions, "participant": participants, "trial": trials}
