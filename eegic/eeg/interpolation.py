"""Band-limited values between samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_TAPS, _BETA = 32, 8.0  # samples on either side that make a value between two samples; shape of their window
_TOUCHED = 0.05  # weight above which a sample spoils the value
_BLOCK = 16384  # values made at a time


def values_at(x: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Band-limited values at ascending positions between 0 and len(x) - 1, shape (n_positions, n_channels)."""
    values = np.empty((len(positions), x.shape[1]))
    for rows, samples, beyond, weights in weight_blocks(len(x), positions):
        values[rows] = weights @ reflected(x[samples], beyond)
    return values


def touched(marked: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Where a marked sample enters a value with weight, shape (n_positions, n_channels)."""
    spoilt = np.zeros((len(positions), marked.shape[1]), bool)
    if marked.any():
        for rows, samples, beyond, weights in weight_blocks(len(marked), positions):
            padded = np.pad(marked[samples].astype(float), (beyond, (0, 0)), mode="edge")
            spoilt[rows] = (abs(weights) > _TOUCHED).astype(float) @ padded > 0
    return spoilt


def weight_blocks(n_times: int, positions: np.ndarray) -> Iterator[tuple[slice, slice, tuple[int, int], csr_array]]:
    """Which values are made of which samples, with how many reflected before and after, and with which weights."""
    from scipy.sparse import csr_array
    from scipy.special import i0

    taps = np.arange(1 - _TAPS, _TAPS + 1)
    for start in range(0, len(positions), _BLOCK):
        block = positions[start : start + _BLOCK]
        below = np.floor(block).astype(int)
        distance = (block - below)[:, None] - taps
        weights = np.sinc(distance) * i0(_BETA * np.sqrt(np.clip(1 - (distance / _TAPS) ** 2, 0, None)))
        weights /= weights.sum(axis=1, keepdims=True)
        first, stop = below[0] + taps[0], below[-1] + taps[-1] + 1
        columns, ends = below[:, None] + taps - first, len(taps) * np.arange(len(block) + 1)
        matrix = csr_array((weights.ravel(), columns.ravel(), ends), shape=(len(block), stop - first))
        low, high = max(first, 0), min(stop, n_times)
        yield slice(start, start + len(block)), slice(low, high), (low - first, stop - high), matrix


def reflected(x: np.ndarray, beyond: tuple[int, int]) -> np.ndarray:
    """Samples, and so many before and after them, continued by point reflection."""
    return np.pad(x, (beyond, (0, 0)), mode="reflect", reflect_type="odd") if any(beyond) else x
