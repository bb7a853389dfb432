"""The style of a grammar: rules and habits as weights, and the stationary chains that they give."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

N_PITCHES = 15  # two octaves of a scale of seven degrees, and the tonic on top
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 11)}  # harmonic minor has a leading tone
_PROFILES = {  # Krumhansl & Kessler (1982): how well each degree of the scale fits its key
    "major": (6.35, 3.48, 4.38, 4.09, 5.19, 3.66, 2.88),
    "minor": (6.33, 3.52, 5.38, 3.53, 4.75, 3.98, 3.17),
}
_LEAP = 3  # scale steps; a fourth or more

BAR = 8  # half beats
INTERVALS = np.array([1, 2, 3, 4])  # half beats between successive onsets
ACCENTS = np.array([1.2, 0.0, 0.6, 0.0, 0.9, 0.0, 0.6, 0.0])  # per position in the bar


def pitch_order() -> np.ndarray:
    """How many of the last three degrees matter, shape (n_pitches,) * 3, oldest first."""
    a, b, c = np.ogrid[:N_PITCHES, :N_PITCHES, :N_PITCHES]
    run = (b - a == c - b) & (np.abs(c - b) == 1)
    leap = np.abs(c - b) >= _LEAP
    return np.where(run, 3, np.where(leap, 2, 1))


def pitch_weights(mode: str, rng: np.random.Generator) -> np.ndarray:
    """Logarithmic weight of the fourth degree after the first three, shape (n_pitches,) * 4."""
    n = N_PITCHES
    _, b, c, d = np.ogrid[:n, :n, :n, :n]
    size = np.abs(d - c)
    key = np.log(_PROFILES[mode])[d % 7]
    register = -0.5 * ((d - n // 2) / 4.5) ** 2
    leading = 1.5 * ((c % 7 == 6) & (d == c + 1))
    first = key + register + leading - 0.55 * size - 0.9 * (size == 0) + 0.7 * rng.standard_normal((n, n))
    second = 2.0 * (np.sign(d - c) == -np.sign(c - b)) * (size == 1) + 0.7 * rng.standard_normal((n, n, n))
    third = 1.2 * (d - c == c - b) + 0.7 * rng.standard_normal((n, n, n, n))
    order = pitch_order()[..., None]
    return np.asarray(first + (order == 2) * second + (order == 3) * third)


def timing_weights(rng: np.random.Generator) -> np.ndarray:
    """Logarithmic weight of the next interval, shape (n_intervals, n_intervals, n_positions, n_intervals)."""
    n = len(INTERVALS)
    before, last, position, following = np.ogrid[:n, :n, :BAR, :n]
    accent = ACCENTS[(position + INTERVALS[following]) % BAR]
    first = accent + np.array([0.6, 1.0, 0.0, 0.2])[following] + 0.4 * (following == last)
    first = first + 0.6 * rng.standard_normal((n, BAR, n))
    second = 1.2 * (following == before) + 0.6 * rng.standard_normal((n, n, BAR, n))
    return np.asarray(first + (before != last) * second)


def next_position(joint: np.ndarray) -> np.ndarray:
    """Probability of the next last-two intervals and position, from that of the present ones and the next interval."""
    known = joint.sum(axis=0)
    moved = [np.roll(known[..., k], step, axis=-1) for k, step in enumerate(INTERVALS)]
    return np.stack(moved, axis=1)


def stationary(transition: np.ndarray, advance: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Joint probability of state and next symbol in the long run; `advance` sums it into the next state."""
    state = np.full(transition.shape[:-1], 1 / np.prod(transition.shape[:-1]))
    change = 1.0
    while change > 1e-15:
        following = advance(state[..., None] * transition)
        following /= following.sum()
        change = float(np.abs(following - state).max())
        state = following
    joint: np.ndarray = state[..., None] * transition
    return joint


def softmax(weights: np.ndarray) -> np.ndarray:
    """Probabilities of what the last axis counts, from logarithmic weights."""
    return conditional(np.exp(weights - weights.max(axis=-1, keepdims=True)))


def conditional(joint: np.ndarray) -> np.ndarray:
    """Divide by the sum over the last axis."""
    return np.asarray(joint / joint.sum(axis=-1, keepdims=True))
