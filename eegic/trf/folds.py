"""What is held out together: whole groups of trials, or blocks of time with a gap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eegic import _checks
from eegic.trf.design import Design

Fold = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Split:
    """Segments of the recording, and which of them each fold holds out.

    Attributes
    ----------
    segments : ndarray of int, shape (n_segments, 3)
        Trial, first sample and stop sample of each.
    folds : tuple of tuple of int
        Segments of each fold.
    """

    segments: np.ndarray
    folds: tuple[Fold, ...]


def split(
    lengths: Sequence[int],
    layout: Design,
    *,
    groups: Sequence[object] | None = None,
    n_folds: int | None = None,
    gap: float | None = None,
) -> Split:
    """Split trials of the given lengths (samples) as `eegic.trf.nested_crossval` documents."""
    if gap is not None:
        return _blocks(lengths, layout, groups, n_folds, gap)
    whole = np.array([(trial, 0, length) for trial, length in enumerate(lengths)])
    return Split(whole, group_folds(groups, len(lengths), n_folds))


def group_folds(groups: Sequence[object] | None, n_trials: int, n_folds: int | None = None) -> tuple[Fold, ...]:
    """Trials held out in each fold: whole groups, in contiguous runs in order of appearance; deterministic.

    Parameters
    ----------
    groups : sequence, shape (n_trials,), or None
        Trials of one group stay together; None makes every trial a group.
    n_trials : int
    n_folds : int, optional
        By default one group is held out at a time.

    Returns
    -------
    tuple of tuple of int

    Examples
    --------
    >>> group_folds(["bach", "holst", "bach", "ravel"], 4)
    ((0, 2), (1,), (3,))
    >>> group_folds(None, 5, 2)
    ((0, 1, 2), (3, 4))
    """
    labels = labels_of(groups, n_trials)
    members: dict[object, list[int]] = {}
    for trial, label in enumerate(labels):
        members.setdefault(label, []).append(trial)
    runs = list(members.values())
    if len(runs) < 2:
        raise ValueError(
            f"Cross-validation needs at least 2 groups of trials, got {len(runs)} ({n_trials} trials). For one "
            "recording, or one sound, cut time instead: n_folds= and gap=."
        )
    wanted = len(runs) if n_folds is None else _checks.count("n_folds", n_folds, minimum=2)
    if wanted > len(runs):
        raise ValueError(f"n_folds: expected at most one fold per group of trials ({len(runs)}), got {wanted}.")
    dealt = np.array_split(np.arange(len(runs)), wanted)
    return tuple(tuple(sorted(trial for g in part for trial in runs[g])) for part in dealt)


def labels_of(groups: Any, n_trials: int) -> list[object]:
    """One hashable label per trial; equal ones are one group."""
    if groups is None:
        return list(range(n_trials))
    labels = list(groups.tolist() if hasattr(groups, "tolist") else groups)
    labels = [label.item() if isinstance(label, np.generic) else label for label in labels]
    if isinstance(groups, str) or any(not isinstance(label, (str, int, float)) for label in labels):
        raise TypeError(f"groups: expected a sequence of names or numbers, one per trial, got {groups!r}.")
    if len(labels) != n_trials:
        raise ValueError(f"groups: expected one per trial ({n_trials}), got {len(labels)}.")
    if any(label != label for label in labels):
        raise ValueError("groups: NaN belongs to no group. Give every trial a name or a number.")
    return labels


def _blocks(
    lengths: Sequence[int], layout: Design, groups: Sequence[object] | None, n_folds: int | None, gap: float
) -> Split:
    """Block k of every trial is fold k; blocks after the first start `gap` seconds late."""
    if n_folds is None:
        raise ValueError("gap: into how many blocks is every trial to be cut? Give n_folds=, 5 for example.")
    if groups is not None:
        raise ValueError("gap: blocks of time hold out a part of every sound, so groups= has no place. Leave it out.")
    n_folds = _checks.count("n_folds", n_folds, minimum=2)
    skip = round(_checks.positive("gap", gap, "seconds") * layout.sfreq)
    if skip < len(layout.lags):
        raise ValueError(
            f"gap: expected at least the length of the kernel ({len(layout.lags) / layout.sfreq:.3f} s), got {gap:g} "
            "s: training and test samples would share sound."
        )
    segments: list[tuple[int, int, int]] = []
    for trial, length in enumerate(lengths):
        edges = np.linspace(0, length, n_folds + 1).round().astype(int)
        if np.diff(edges).min() <= 2 * skip:
            raise ValueError(
                f"n_folds: trial {trial} lasts {length / layout.sfreq:.1f} s; cut in {n_folds}, the gaps of {gap:g} s "
                "take half of it or more. Use fewer folds or a shorter gap."
            )
        segments += [(trial, int(edges[k]) + (skip if k else 0), int(edges[k + 1])) for k in range(n_folds)]
    folds = tuple(tuple(trial * n_folds + k for trial in range(len(lengths))) for k in range(n_folds))
    return Split(np.array(segments), folds)
