"""Neighbouring channels together."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic import _checks
from eegic.results import GroupResult

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import sparray

_METHODS = ("tfce", "cluster")
_TAIL = {"greater": 1, "less": -1, "two-sided": 0}
_FEWEST = 0.05  # p-value of a channel above which it is in no cluster, by default


def cluster_test(
    group: GroupResult,
    model: str | None = None,
    *,
    method: str = "tfce",
    threshold: float | None = None,
    adjacency: sparray | np.ndarray | None = None,
    n_flips: int = 1000,
    progress: bool = True,
) -> pd.DataFrame:
    """Test the corrected gain with the support of neighbouring channels, by sign flips of whole participants.

    Parameters
    ----------
    group : GroupResult
    model : str, optional
        By default the first.
    method : {"tfce", "cluster"}
        ``tfce``: threshold-free cluster enhancement, extent to the power .5 times height squared, summed over heights
        in steps of a hundredth of the largest t. ``cluster``: sums of t over neighbouring channels above `threshold`.
    threshold : float, optional
        Of t, for clusters; by default that of an uncorrected p of .05.
    adjacency : sparse or plain array, shape (n_channels, n_channels), optional
        Which channels are neighbours; by default by Delaunay triangulation of their positions.
    n_flips : int
        At most so many sign flips. Threshold-free enhancement takes about 30 ms for each.
    progress : bool
        Show a progress bar, in a terminal.

    Returns
    -------
    pandas.DataFrame
        A row per channel: ``channel, t, p``, and for clusters ``cluster``, numbered by size from 1 (0: in none).
        With ``tfce``, p belongs to the channel and is corrected for all. With ``cluster`` it belongs to the cluster as
        a whole: it says that something is there, not that any one of its channels, or its border, is beyond chance.

    Notes
    -----
    MNE makes the flips and the clusters. Only channels in which every participant has a value take part; the others are
    NaN. Neighbours are those among the channels that take part.
    """
    import mne
    import pandas as pd
    from mne.stats import permutation_cluster_1samp_test

    if not isinstance(group, GroupResult):
        raise TypeError(f"group: expected a GroupResult, as `group_test` gives it, got {type(group).__name__}.")
    _checks.one_of("method", method, _METHODS)
    if threshold is not None and method == "tfce":
        raise ValueError("threshold: threshold-free enhancement has none. Leave it out, or pass method='cluster'.")
    values = group.corrected[group.row(model)]
    whole = np.isfinite(values).all(axis=0) & (np.ptp(values, axis=0) > 0)
    if whole.sum() < 2:
        raise ValueError(f"group: neighbours need at least 2 channels that all participants have, got {whole.sum()}.")
    values, tail = values[:, whole], _TAIL[group.settings["alternative"]]
    t = _t(values)
    with warnings.catch_warnings(), mne.utils.use_log_level("error"):
        warnings.filterwarnings("ignore", "No clusters found")  # an outcome, which the table shows
        _, clusters, p, _ = permutation_cluster_1samp_test(
            values,
            threshold=_steps(t) if method == "tfce" else _threshold(threshold, len(values), tail),
            n_permutations=_checks.count("n_flips", n_flips),
            tail=tail,
            adjacency=_adjacency(group.info, whole, adjacency),
            out_type="mask",
            rng=group.settings["rng"],
            verbose="info" if _checks.flag("progress", progress) and sys.stderr.isatty() else "error",
        )
    table = pd.DataFrame({"channel": group.ch_names, "t": np.nan, "p": np.nan})
    table.loc[whole, "t"] = t
    if method == "tfce":
        table.loc[whole, "p"] = p
        return table
    number = np.zeros(len(t), dtype=int)
    of_channel = np.full(len(t), np.nan)
    for rank, k in enumerate(np.argsort([-mask.sum() for mask in clusters], kind="stable"), start=1):
        number[clusters[k]], of_channel[clusters[k]] = rank, p[k]
    table.loc[whole, "p"] = of_channel
    table["cluster"] = 0
    table.loc[whole, "cluster"] = number
    return table


def _t(values: np.ndarray) -> np.ndarray:
    return np.asarray(values.mean(axis=0) / (values.std(axis=0, ddof=1) / np.sqrt(len(values))))


def _steps(t: np.ndarray) -> dict[str, float]:
    """Heights of threshold-free enhancement, fine enough for the sum to be the integral."""
    return {"start": 0.0, "step": float(np.abs(t).max()) / 100}


def _threshold(given: float | None, n: int, tail: int) -> float:
    from scipy.stats import t

    if given is not None:
        given = _checks.positive("threshold", given, "t")
    chosen = float(t.isf(_FEWEST / (1 if tail else 2), n - 1)) if given is None else given
    return -chosen if tail < 0 else chosen


def _adjacency(info: Any, whole: np.ndarray, given: Any) -> Any:
    """Neighbours among the channels that take part."""
    import mne
    from scipy import sparse

    n = len(whole)
    if given is None:
        picked = mne.pick_info(info, np.flatnonzero(whole))
        picked["bads"] = []
        return mne.channels.find_ch_adjacency(picked, "eeg")[0]
    found = sparse.csr_array(given)
    if found.shape != (n, n):
        raise ValueError(f"adjacency: expected shape ({n}, {n}), a row and a column per channel, got {found.shape}.")
    return found[whole][:, whole]
