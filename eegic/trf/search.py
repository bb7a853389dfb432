"""Which alpha: let every outer fold decide by its inner folds, per channel or per band if asked."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from eegic.trf.heldout import Choice, Held
from eegic.trf.inputs import to_numpy
from eegic.trf.scores import mean_defined
from eegic.trf.workers import Run

Array = Any
_DECADES = 4.0  # how far the alpha of a band may lie from their geometric mean


def choose(held: Held, grid: np.ndarray, criterion: str, per_channel: bool, run: Run) -> list[Choice]:
    """Let every outer fold choose its alphas by its inner folds."""
    n_folds, n_bands = len(held.folds), held.model.design.n_bands
    if len(grid) == 1 and n_bands == 1:
        only = np.zeros(held.parts[0].y.shape[0] if per_channel else (), int)
        return [Choice(only, np.ones(1), None)] * n_folds
    if n_folds < 3:
        raise ValueError(
            f"n_folds: choosing alpha inside the training sets needs at least 3 folds, got {n_folds}. Give more "
            "trials or groups, cut one recording with n_folds= and gap=, or pass a single alpha."
        )
    sign = -1 if criterion == "mse" else 1

    @cache
    def inner(exponents: tuple[float, ...]) -> list[Array]:
        return held.inner(grid, _ratios(exponents), criterion, run)

    choices = []
    for k in range(n_folds):
        exponents = _search(lambda candidate, k=k: _best(sign * inner(candidate)[k]), n_bands)  # type: ignore[misc]
        scores = inner(exponents)[k]
        choices.append(Choice(pick(sign * scores, per_channel), _ratios(exponents), scores))
    return choices


def _ratios(exponents: tuple[float, ...]) -> np.ndarray:
    return 10.0 ** np.asarray(exponents)


def _search(value: Callable[[tuple[float, ...]], float], n_bands: int) -> tuple[float, ...]:
    """Exponents of the band ratios (decades, mean 0) that no neighbour improves on, see `nested_crossval`."""
    here = (0.0,) * n_bands
    if n_bands == 1:
        return here
    best = value(here)
    for step in (2.0, 1.0, 0.5):
        while True:
            moves = [_moved(here, band, sign * step) for band in range(n_bands) for sign in (1, -1)]
            moves = [move for move in moves if max(map(abs, move)) <= _DECADES]
            values = [value(move) for move in moves]
            if max(values, default=-np.inf) <= best:
                break
            best = max(values)
            here = moves[int(np.argmax(values))]
    return here


def _moved(exponents: tuple[float, ...], band: int, step: float) -> tuple[float, ...]:
    moved = np.array(exponents)
    moved[band] += step
    return tuple(float(e) for e in np.round(moved - moved.mean(), 9))


def _best(scores: Array) -> float:
    """Best mean over channels of (n_alphas, n_channels) scores."""
    xp = array_namespace(scores)
    means = mean_defined(scores.T)
    return float(xp.max(xp.where(xp.isnan(means), xp.full_like(means, -np.inf), means)))


def pick(scores: Array, per_channel: bool) -> np.ndarray:
    """Index of the best alpha, shape () or (n_channels,); undefined channels follow the common choice."""
    table = to_numpy(scores)
    defined = ~np.isnan(table).any(axis=0)
    if not defined.any():
        raise ValueError(
            "No channel has a defined inner score at any alpha: every channel is flat, or every prediction constant. "
            "Check the EEG and the features."
        )
    common = int(np.argmax(table[:, defined].mean(axis=1)))
    if not per_channel:
        return np.asarray(common)
    return np.where(defined, np.argmax(np.where(defined, table, -np.inf), axis=0), common)
