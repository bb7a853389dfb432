"""A `GroupResult` as arrays and a text, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from eegic.eeg import stored
from eegic.results import texts

_ARRAYS = ("owner", "r_reduced", "r_full", "null_mean", "null", "region_gain", "region_p", "lags")
_TEXTS = ("participants", "stimuli", "sounds", "baseline", "notes")
_LISTS = ("models", "regions")
_OTHERS = ("settings", "versions")


def pack(result: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Arrays of a `GroupResult`, given as its fields; whatever is no array stands in ``about``."""
    arrays = {name: np.asarray(result[name]) for name in _ARRAYS}
    arrays |= {f"kernels {row}": result["kernels"][name] for row, name in enumerate(result["models"])}
    arrays |= {
        "noise": np.array([noise for _, noise in result["conditions"].values()]),
        **stored.places(result["info"]),
    }
    about = {name: result[name] for name in (*_TEXTS, *_LISTS, *_OTHERS)} | stored.recording(result["info"])
    about["families"] = [family for family, _ in result["conditions"].values()]
    return {**arrays, "about": stored.text_of(about)}


def unpack(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Fields of a `GroupResult`; a ValueError says what in the arrays or in the text is wrong."""
    about = texts.content(arrays, _ABOUT)
    models = {name: tuple(own) for name, own in about["models"].items()}
    sizes = {
        "n_channels": len(about["ch_names"]),
        "n_models": len(models),
        "n_participants": len(about["participants"]),
        "n_regions": len(about["regions"]),
        "n_segments": len(about["stimuli"]),
    }
    axes = {**_AXES, **{f"kernels {row}": _of_kernels(about, own) for row, own in enumerate(models.values())}}
    stored.check_arrays(arrays, axes, sizes, whole=("owner",))
    stored.raise_first(_faults(about, arrays))
    stored.raise_first(texts.lags_fault(arrays["lags"], about["sfreq"]))
    families = zip(about["families"], arrays["noise"].tolist(), strict=True)
    return {
        **{name: arrays[name] for name in _ARRAYS},
        **{name: tuple(about[name]) for name in _TEXTS},
        **{name: {key: tuple(own) for key, own in about[name].items()} for name in _LISTS},
        **{name: about[name] for name in _OTHERS},
        "info": stored.info_of(about, arrays),
        "conditions": dict(zip(models, families, strict=True)),
        "kernels": {name: arrays[f"kernels {row}"] for row, name in enumerate(models)},
    }


_ABOUT: stored.Kinds = {
    "participants": ("distinct names", stored.are_names),
    "regions": ("names of channels for every region", texts.are_named_lists),
    "families": ("texts", stored.are_texts),
}
_SETTINGS: stored.Kinds = {
    "over": ("'median' or 'mean'", lambda value: value in ("median", "mean")),
    "n_flips": ("a whole number", lambda value: type(value) is int and value > 0),
    "level": ("a probability", lambda value: stored.is_number(value) and 0 < value < 1),
    "attainable": ("a probability", lambda value: stored.is_number(value) and 0 <= value < 1),
    "rng": ("a whole number", lambda value: type(value) is int and value >= 0),
    "each": ("an object", lambda value: isinstance(value, dict)),
}
_AXES: stored.Axes = {
    "owner": ("n_segments",),
    "r_reduced": ("n_segments", "n_channels"),
    "r_full": ("n_models", "n_segments", "n_channels"),
    "null_mean": ("n_models", "n_participants", "n_channels"),
    "null": ("n_models", "n_shared", "n_channels"),
    "region_gain": ("n_models", "n_regions", "n_participants", "1 + n_shared"),
    "region_p": ("n_models", "n_regions", "n_participants"),
    "lags": ("n_lags",),
    "noise": ("n_models",),
}


def _of_kernels(about: Mapping[str, Any], own: tuple[str, ...]) -> tuple[int | str, ...]:
    return ("n_participants", len(about["baseline"]) + len(own), "n_lags", "n_channels")


def _faults(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Iterator[str]:
    n_participants, channels = len(about["participants"]), set(about["ch_names"])
    if set(arrays["owner"].tolist()) != set(range(n_participants)):
        yield f"array 'owner': expected numbers of {n_participants} participants, each with a segment"
    if arrays["region_gain"].shape[-1] != 1 + arrays["null"].shape[1]:
        yield "array 'region_gain': expected the real gain and one for every surrogate"
    if len(about["families"]) != len(about["models"]):
        yield f"about, 'families': expected one for each of {len(about['models'])} models"
    foreign = sorted({name for own in about["regions"].values() for name in own} - channels)
    if foreign:
        yield f"about, 'regions': {foreign[0]!r} is no channel"
    if "all" not in about["regions"]:
        yield "about, 'regions': 'all' is missing"
    for name, (expected, fits) in _SETTINGS.items():
        if not fits(about["settings"].get(name)):
            yield f"about, 'settings', {name!r}: expected {expected}, got {about['settings'].get(name)!r}"
    known = arrays["region_p"][np.isfinite(arrays["region_p"])]
    if not ((known >= 0) & (known <= 1)).all():
        yield "array 'region_p': expected p-values between 0 and 1"
    if not np.isfinite(arrays["r_full"] - arrays["r_reduced"]).any(axis=2).any(axis=1).all():
        yield "arrays 'r_full', 'r_reduced': expected values of every model, got NaN alone"
