"""What the files of a `Tracking` and of a `GroupResult` have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from eegic.eeg import stored


def content(arrays: Mapping[str, np.ndarray], kinds: stored.Kinds) -> dict[str, Any]:
    """The text of a result, once each of its parts is of its kind; `kinds` are those that not every result has."""
    about = stored.content(arrays, {**_COMMON, **kinds})
    if len(about["sounds"]) != len(about["stimuli"]):
        raise ValueError(f"about: expected a sound per stimulus ({len(about['stimuli'])}), got {len(about['sounds'])}")
    return about


def are_named_lists(value: Any) -> bool:
    """Different texts for every name."""
    return isinstance(value, dict) and len(value) > 0 and all(map(stored.are_names, value.values()))


def lags_fault(lags: np.ndarray, sfreq: float) -> Iterator[str]:
    """What is wrong with lags that should lie a sample apart."""
    if not (np.isfinite(lags).all() and np.allclose(np.diff(lags) * sfreq, 1, atol=1e-3)):
        yield f"array 'lags': expected steps of one sample at {sfreq:g} Hz"


def _are_versions(value: Any) -> bool:
    return isinstance(value, dict) and stored.are_texts([*value.values()])


_COMMON: stored.Kinds = {
    "stimuli": ("texts", stored.are_texts),
    "sounds": ("texts", stored.are_texts),
    "notes": ("texts", stored.are_texts),
    "baseline": ("distinct names", stored.are_names),
    "models": ("names of features for every model", are_named_lists),
    "settings": ("an object", lambda value: isinstance(value, dict)),
    "versions": ("a text for every package", _are_versions),
}
