"""Neighbouring channels together."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic import _checks
from eegic.group.alike import check_group
from eegic.results import GroupResult
from eegic.viz.scalp import check_positions

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import sparray

_METHODS = ("tfce", "cluster")
_FEWEST = 0.05  # p-value of a channel above which it is in no cluster, by default
_TIE = 1e-9  # of a statistic: a smaller difference is rounding


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
    """Test whether the corrected gain is above zero, neighbouring channels together, by flips of whole participants.

    Parameters
    ----------
    group : GroupResult
    model : str, optional
        By default the first.
    method : {"tfce", "cluster"}
        ``tfce``: threshold-free cluster enhancement, extent to the power .5 times height squared, summed over heights
        in steps of a hundredth of the largest t. ``cluster``: sums of t over neighbouring channels above `threshold`.
    threshold : float, optional
        Of t, for clusters; by default that of an uncorrected one-sided p of .05.
    adjacency : sparse or plain array, shape (n_channels, n_channels), optional
        Which channels are neighbours; by default by Delaunay triangulation of their positions.
    n_flips : int
        At most so many sign flips: all if there are no more. Threshold-free enhancement takes about 30 ms for each.
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

    check_group(group)
    tfce = _checks.one_of("method", method, _METHODS) == "tfce"
    if threshold is not None and tfce:
        raise ValueError("threshold: threshold-free enhancement has none. Leave it out, or pass method='cluster'.")
    values = group.corrected[group.row(model)]
    whole = np.isfinite(values).all(axis=0) & (np.ptp(values, axis=0) > 0)
    if whole.sum() < 2:
        raise ValueError(f"group: neighbours need at least 2 channels that all participants have, got {whole.sum()}.")
    values = values[:, whole]
    t = values.mean(axis=0) / (values.std(axis=0, ddof=1) / np.sqrt(len(values)))
    options = {
        "threshold": {"start": 0.0, "step": float(np.abs(t).max()) / 100}
        if tfce
        else _threshold(threshold, len(values)),
        "tail": 1,
        "adjacency": _adjacency(group.info, whole, adjacency),
        "out_type": "mask",
        "rng": group.settings["rng"],
        "verbose": "info" if _checks.flag("progress", progress) and sys.stderr.isatty() else "error",
    }
    with warnings.catch_warnings(), mne.utils.use_log_level("error"):
        warnings.filterwarnings("ignore", "No clusters found")  # an outcome, which the table shows
        enhanced, clusters, null = _flipped(values, _checks.count("n_flips", n_flips), options)
    table = pd.DataFrame({"channel": group.ch_names, "t": np.nan, "p": np.nan})
    table.loc[whole, "t"] = t
    if tfce:
        table.loc[whole, "p"] = _p(enhanced, null)
        return table
    number, of_channel = np.zeros(len(t), dtype=int), np.full(len(t), np.nan)
    for rank, mask in enumerate(sorted(clusters, key=np.sum, reverse=True), start=1):
        number[mask], of_channel[mask] = rank, _p(t[mask].sum(), null)
    table.loc[whole, "p"] = of_channel
    table["cluster"] = 0
    table.loc[whole, "cluster"] = number
    return table


def _flipped(
    values: np.ndarray, n_flips: int, options: dict[str, Any]
) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """Statistics, clusters, and the largest statistic under each flip, the observed data among them."""
    from mne.stats import permutation_cluster_1samp_test

    observed, clusters, _, null = permutation_cluster_1samp_test(values, n_permutations=n_flips, **options)
    if len(null) and n_flips >= 2 ** len(values) - 1:
        # where MNE lists all flips for a one-sided test, the observed pattern is there twice, and its opposite is not
        opposite, others, _, _ = permutation_cluster_1samp_test(-values, n_permutations=1, **options)
        sums = [float(opposite[mask].sum()) for mask in others]
        twice = int(np.argmin(np.abs(null - null[0])[1:])) + 1
        null = np.asarray(null).copy()
        null[twice] = opposite.max() if isinstance(options["threshold"], dict) else max(sums, default=0.0)
    return observed, clusters, np.asarray(null)


def _p(observed: np.ndarray, null: np.ndarray) -> np.ndarray:
    """Share of flips with a statistic at least as large."""
    observed = np.asarray(observed)
    return np.asarray((null >= observed[..., None] * (1 - _TIE)).mean(axis=-1))


def _threshold(given: float | None, n: int) -> float:
    from scipy.stats import t

    return float(t.isf(_FEWEST, n - 1)) if given is None else _checks.positive("threshold", given, "t")


def _adjacency(info: Any, whole: np.ndarray, given: Any) -> Any:
    """Neighbours among the channels that take part."""
    import mne
    from scipy import sparse

    n = len(whole)
    if given is None:
        picked = mne.pick_info(info, np.flatnonzero(whole))
        check_positions(picked)
        picked["bads"] = []
        with mne.utils.use_log_level("error"):
            return mne.channels.find_ch_adjacency(picked, "eeg")[0]
    if getattr(given, "shape", None) != (n, n):
        raise ValueError(
            f"adjacency: expected an array of shape ({n}, {n}), a row and a column per channel, got "
            f"{getattr(given, 'shape', type(given).__name__)}."
        )
    neighbours: Any = sparse.csr_array(given)
    return neighbours[whole][:, whole]
