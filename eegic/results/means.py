"""Means over channels and participants of what is defined."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from eegic.trf.scores import mean_defined

# how the channels of a region become one value
OVER: dict[str, Callable[..., Any]] = {"median": np.nanmedian, "mean": np.nanmean}


def over_channels(values: np.ndarray, how: str) -> np.ndarray:
    """Median or mean over the last axis of what is defined; NaN where nothing is."""
    defined = np.isfinite(values).any(axis=-1)
    found: np.ndarray = OVER[how](np.where(defined[..., None], values, 0.0), axis=-1)
    return np.where(defined, found, np.nan)


def standard_error(values: np.ndarray) -> np.ndarray:
    """Of the mean over the first axis of what is defined; NaN for fewer than two values."""
    n = np.isfinite(values).sum(axis=0)
    variance = mean_defined((values - mean_defined(values)) ** 2)
    return np.asarray(np.sqrt(variance / np.where(n > 1, n - 1, np.nan)))
