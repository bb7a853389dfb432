"""Numbers and lists as a paper writes them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

NONE = "–"  # in a table, where there is no value
_MINUS, _DASH = "−", "–"


def p_value(p: float) -> str:
    """A p-value without its leading zero, e.g. ``.003`` or ``< .001``."""
    if not np.isfinite(p):
        return NONE
    if p < 0.0005:
        return "< .001"
    return f"{p:.3f}".removeprefix("0") if p < 0.9995 else "1"


def p_equals(p: float) -> str:
    """The same with its name, e.g. ``p = .003`` or ``p < .001``."""
    if not np.isfinite(p):
        return "p not defined"
    written = p_value(p)
    return f"p {written}" if written.startswith("<") else f"p = {written}"


def level(p: float) -> str:
    """A probability that was chosen or is the smallest possible, as short as it can be, e.g. ``.05`` or ``2.5e-5``."""
    return f"{p:.2g}".removeprefix("0").replace("e-0", "e-")


def plain(value: float, digits: int = 3) -> str:
    """A number with a true minus, and none before a zero."""
    if not np.isfinite(value):
        return NONE
    written = f"{value:.{digits}f}"
    return written.replace("-", "" if float(written) == 0 else _MINUS)


def signed(value: float, digits: int = 4) -> str:
    """A difference, always with its sign, e.g. ``+0.0031``; zero has none."""
    written = plain(value, digits)
    return f"+{written}" if np.isfinite(value) and float(f"{value:.{digits}f}") > 0 else written


def general(value: float) -> str:
    """A number that was chosen, as short as it can be, e.g. ``0.4`` or ``1e6``."""
    return f"{value:g}".replace("-", _MINUS).replace("e+0", "e").replace("e+", "e")


def span(low: float, high: float, unit: str) -> str:
    """From one number to another, e.g. ``0–400 ms`` or ``−100 to 400 ms``."""
    joined = f"{general(low)} to {general(high)}" if low < 0 else f"{general(low)}{_DASH}{general(high)}"
    return f"{joined if low != high else general(low)} {unit}"


def interval(low: float, high: float, digits: int = 2) -> str:
    """Two ends, e.g. ``−0.10 to 1.20``."""
    return f"{plain(low, digits)} to {plain(high, digits)}" if np.isfinite([low, high]).all() else NONE


def percent(share: float) -> str:
    """A share, e.g. ``97 %``; ``0.3 %`` below one percent."""
    if not np.isfinite(share):
        return NONE
    return f"{max(100 * share, 0.1):.1f} %" if 0 < share < 0.0095 else f"{plain(100 * share, 0)} %"


def seconds(duration: float) -> str:
    """A duration: ``48 s``, from two minutes on ``12.5 min``."""
    return f"{duration:.0f} s" if duration < 120 else f"{duration / 60:.1f} min"


def counted(n: int, noun: str) -> str:
    """How many of what: ``1 trial``, ``8 trials``, ``1,000 surrogates``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def together(names: Iterable[object], most: int = 12) -> str:
    """Names as a sentence has them: ``a, b and c``."""
    given = [str(name) for name in names]
    named = [*given[:most], f"{len(given) - most} more"] if len(given) > most else given
    return " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
