"""Validation at the public door: every message says what was expected, what came, and what to do."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def array(name: str, value: object, *, axes: str) -> np.ndarray:
    """Return `value` as an array of any dtype, or say that its rows differ in length or hide masked values."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name}: expected a plain array, got a masked one. Mark what is masked: `.filled(np.nan)`.")
    try:
        return np.asarray(value)
    except ValueError as error:
        raise TypeError(f"{name}: expected one array {axes}, got a ragged one. Give rows of equal length.") from error


def real_array(name: str, value: object, ndim: int, *, axes: str, integers: str = "cast") -> np.ndarray:
    """Return `value` as a new float64 array of `ndim` axes, or say why it cannot be one.

    Parameters
    ----------
    name : str
        What the caller calls the array; starts the message.
    value : array_like
        Real numbers.
    ndim : int
        Number of axes expected.
    axes : str
        The axes in words, e.g. ``"(n_times, n_channels)"``.
    integers : str
        ``"cast"`` accepts integers; any other text refuses them and is the advice given.

    Returns
    -------
    ndarray of float64
        A copy in C order.
    """
    given = array(name, value, axes=axes)
    if given.dtype.kind not in "fiub":
        raise TypeError(
            f"{name}: expected real numbers, got dtype {given.dtype} ({type(value).__name__}). "
            "Convert to float64 first; for complex data take the real part or the magnitude."
        )
    if given.dtype.kind != "f" and integers != "cast":
        raise TypeError(f"{name}: expected floating-point numbers, got dtype {given.dtype}. {integers}")
    if given.ndim != ndim:
        raise ValueError(f"{name}: expected an array {axes}, got shape {given.shape}.")
    return np.array(given, dtype=np.float64, order="C")


def positive(name: str, value: float, unit: str) -> float:
    """Return `value` as a float, or say that a finite positive number was expected."""
    number = _number(name, value, unit)
    if not (np.isfinite(number) and number > 0):
        raise ValueError(f"{name}: expected a finite positive number of {unit}, got {value!r}.")
    return number


def finite(name: str, value: float, unit: str) -> float:
    """Return `value` as a float, or say that a finite number was expected."""
    number = _number(name, value, unit)
    if not np.isfinite(number):
        raise ValueError(f"{name}: expected a finite number of {unit}, got {value!r}.")
    return number


def _number(name: str, value: object, unit: str) -> float:
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        return float(value)
    raise TypeError(f"{name}: expected a number of {unit}, got {value!r} ({type(value).__name__}).")


def not_negative(name: str, value: float, unit: str) -> float:
    """Return `value` as a float, or say that a finite number that is not negative was expected."""
    number = finite(name, value, unit)
    if number < 0:
        raise ValueError(f"{name}: expected a number of {unit} that is not negative, got {value!r}.")
    return number


def flag(name: str, value: bool) -> bool:
    """Return `value` if it is True or False, or say that one of them was expected."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: expected True or False, got {value!r}.")
    return bool(value)


def count(name: str, value: int, *, minimum: int = 1) -> int:
    """Return `value` as an int of at least `minimum`, or say that one was expected."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}: expected a whole number, got {value!r} ({type(value).__name__}).")
    if value < minimum:
        raise ValueError(f"{name}: expected at least {minimum}, got {value}.")
    return int(value)


def one_of(name: str, value: str, choices: Iterable[str]) -> str:
    """Return `value` if it is among `choices`, or name the choices (and the closest one)."""
    import difflib

    choices = list(choices)
    if value in choices:
        return value
    folded = {str(choice).casefold(): choice for choice in choices}  # get_close_matches finds "cz" far from "Cz"
    near = difflib.get_close_matches(str(value).casefold(), folded, n=1)
    hint = f" Did you mean {folded[near[0]]!r}?" if near else ""
    raise ValueError(f"{name}: expected one of {listed(choices, 12)}, got {value!r}.{hint}")


def unique_names(name: str, values: str | Iterable[str], expected: int, of_what: str) -> tuple[str, ...]:
    """Return `values` (one string, or several) as a tuple of `expected` distinct strings, or say which one is wrong."""
    values = (values,) if isinstance(values, str) or not isinstance(values, Iterable) else tuple(values)
    wrong = [v for v in values if not isinstance(v, str)]
    if wrong:
        raise TypeError(f"{name}: expected strings, got {wrong[0]!r} ({type(wrong[0]).__name__}).")
    if len(values) != expected:
        raise ValueError(f"{name}: expected one name per {of_what} ({expected}), got {len(values)}: {listed(values)}.")
    repeated = sorted({v for v in values if values.count(v) > 1})
    if repeated:
        raise ValueError(f"{name}: each {of_what} needs its own name, but {listed(repeated)} stands more than once.")
    return tuple(str(v) for v in values)


def listed(values: Iterable[object], most: int = 8) -> str:
    """The first of some names, quoted, and how many more there are."""
    values = list(values)
    shown = ", ".join(map(repr, values[:most])) or "none"
    return shown + (f" and {len(values) - most} more" if len(values) > most else "")


def seed(rng: int | np.random.Generator | None) -> int:
    """Return the whole number from which all draws follow: the seed, or one taken from a generator or the system."""
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(2**63))
    if rng is None:
        return int(np.random.SeedSequence().entropy)  # type: ignore[arg-type]
    if isinstance(rng, bool) or not isinstance(rng, (int, np.integer)):
        raise TypeError(f"rng: expected a seed, a numpy.random.Generator or None, got {type(rng).__name__}.")
    return count("rng", rng, minimum=0)
