"""Values of participants and probabilities, checked at one door."""

from __future__ import annotations

import numpy as np

from eegic import _checks

_FLAT = 1e-12  # of the largest value of a column: a smaller spread is rounding


def participants(d: object) -> np.ndarray:
    """Return `d` as real numbers, without the participants that have no value, or say what is wrong with it."""
    given = _checks.array("d", d, axes="(n_participants, ...)")
    if given.dtype.kind == "b":
        raise TypeError("d: expected real numbers, a row per participant, got True and False. Give what was measured.")
    values = _checks.real_array("d", d, max(given.ndim, 1), axes="(n_participants, ...)")
    if np.isinf(values).any():
        where = tuple(int(i) for i in np.argwhere(np.isinf(values))[0])
        raise ValueError(
            f"d: expected finite numbers, or NaN where a participant lacks a value, got {values[where]} at d{[*where]}."
        )
    empty = np.isnan(values).all(axis=tuple(range(1, values.ndim)))
    return np.asarray(values[~empty])


def varies(values: np.ndarray) -> np.ndarray:
    """Which columns hold values that are not all equal, bool, shape (n_columns,)."""
    largest, smallest = np.fmax.reduce(values, initial=-np.inf), np.fmin.reduce(values, initial=np.inf)
    return np.asarray(largest - smallest > _FLAT * np.maximum(np.abs(largest), np.abs(smallest)))


def probability(name: str, value: float) -> float:
    """Return `value` as a float, or say that a probability between 0 and 1 was expected."""
    if not 0 < _checks.finite(name, value, "probability") < 1:
        raise ValueError(f"{name}: expected a probability between 0 and 1, got {value!r}.")
    return float(value)
