"""Electrodes on a sphere, and smooth patterns over them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eegic import _checks
from eegic.eeg.participant import electrode_positions

if TYPE_CHECKING:
    import mne

VERTEX = (0.0, 0.0, 1.0)


def electrodes(montage: str | mne.channels.DigMontage, n_channels: int | None) -> tuple[tuple[str, ...], np.ndarray]:
    """Choose electrodes of a montage, well spread over the scalp.

    Parameters
    ----------
    montage : str or mne.channels.DigMontage
        Name of a standard montage, or a montage.
    n_channels : int or None
        How many; None takes all. Fewer electrodes are always among those chosen when more are asked for.

    Returns
    -------
    ch_names : tuple of str
        In the order of the montage.
    directions : ndarray, shape (n_channels, 3)
        Unit vectors from the centre of the head to each electrode: right, front, up.
    """
    positions = electrode_positions(montage).get_positions()["ch_pos"]
    if not positions:
        raise ValueError("montage: expected positions of electrodes, got none. Give a montage made with `ch_pos`.")
    names = tuple(positions)
    directions = _directions(np.array(list(positions.values())))
    if n_channels is None:
        return names, directions
    if _checks.count("n_channels", n_channels) > len(names):
        raise ValueError(
            f"n_channels: the montage has {len(names)} electrodes, got {n_channels}. Take a denser montage."
        )
    chosen = _spread(directions, n_channels)
    return tuple(names[i] for i in chosen), directions[chosen]


def bump(directions: np.ndarray, centre: tuple[float, float, float], width: float) -> np.ndarray:
    """Return a Gaussian hill over the scalp, 1 at its `centre`, with SD `width` in radians, shape (n_channels,)."""
    return _hill(directions @ (np.array(centre) / np.linalg.norm(centre)), width)


def smoothing(directions: np.ndarray, width: float) -> np.ndarray:
    """Return Gaussian hills around all electrodes, shape (n_channels, n_channels)."""
    return _hill(directions @ directions.T, width)


def _hill(cosine: np.ndarray, width: float) -> np.ndarray:
    angle = np.arccos(np.clip(cosine, -1, 1))
    return np.asarray(np.exp(-0.5 * (angle / width) ** 2))


def _directions(positions: np.ndarray) -> np.ndarray:
    """Return unit vectors from the centre of the sphere that fits the positions best."""
    # |p - c|² = r² is linear in c and r² - |c|²
    design = np.column_stack([2 * positions, np.ones(len(positions))])
    centre = np.linalg.lstsq(design, (positions**2).sum(axis=1))[0][:3]
    away = positions - centre
    return np.asarray(away / np.linalg.norm(away, axis=1, keepdims=True))


def _spread(directions: np.ndarray, n: int) -> list[int]:
    """Start at the vertex and add, again and again, the electrode farthest from those chosen."""
    chosen = [int(np.argmax(directions @ VERTEX))]
    nearest = directions @ directions[chosen[0]]  # cosine of the angle to the nearest chosen electrode
    while len(chosen) < n:
        chosen.append(int(np.argmin(nearest)))
        nearest = np.maximum(nearest, directions @ directions[chosen[-1]])
    return sorted(chosen)
