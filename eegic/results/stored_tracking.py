"""A `Tracking` as arrays and a text, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from eegic.eeg import stored
from eegic.results import texts
from eegic.trf.ceiling import Ceiling

_ARRAYS = ("segments", "n_samples", "r_reduced", "r_full", "null", "alpha", "lags", "explained", "reliability")
_TEXTS = ("stimuli", "sounds", "baseline", "notes")
_OTHERS = ("participant", "models", "exact", "settings", "versions")
_COUNTS = ("n_sounds", "n_repeats", "n_boot")  # of a ceiling


def pack(result: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Arrays of a `Tracking`, given as its fields; whatever is no array stands in ``about``."""
    ceiling = result["ceiling"]
    arrays = {name: np.asarray(result[name]) for name in _ARRAYS}
    arrays |= {f"kernels {row}": result["kernels"][name] for row, name in enumerate(result["models"])}
    arrays |= {"reduced kernels": result["reduced_kernels"], **stored.places(result["info"])}
    about = {name: result[name] for name in (*_TEXTS, *_OTHERS)} | stored.recording(result["info"])
    if ceiling is not None:
        parts = {field.name: getattr(ceiling, field.name) for field in fields(ceiling)}
        arrays |= {f"ceiling {name}": part for name, part in parts.items() if isinstance(part, np.ndarray)}
        about["ceiling"] = {name: part for name, part in parts.items() if not isinstance(part, np.ndarray)}
    return {**arrays, "about": stored.text_of(about)}


def unpack(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Fields of a `Tracking`; a ValueError says what in the arrays or in the text is wrong."""
    about = texts.content(arrays, _ABOUT)
    _check(about, arrays)
    models = {name: tuple(own) for name, own in about["models"].items()}
    ceiling = about.get("ceiling")
    if ceiling is not None:
        names = [field.name for field in fields(Ceiling) if field.name not in ceiling]
        parts: dict[str, Any] = {name: arrays.get(f"ceiling {name}") for name in names}
        ceiling = Ceiling(**ceiling, **parts)
    return {
        **{name: arrays[name] for name in _ARRAYS},
        **{name: tuple(about[name]) for name in _TEXTS},
        **{name: about[name] for name in _OTHERS},
        "info": stored.info_of(about, arrays),
        "models": models,
        "kernels": {name: arrays[f"kernels {row}"] for row, name in enumerate(models)},
        "reduced_kernels": arrays["reduced kernels"],
        "ceiling": ceiling,
    }


def _is_ceiling(value: Any) -> bool:
    if not isinstance(value, dict):
        return value is None
    arrays = [value[name] for name in value if name not in (*_COUNTS, "kind")]
    counts = [type(value.get(name)) is int for name in _COUNTS]
    return all(counts) and stored.is_text(value.get("kind")) and arrays in ([], [None, None]) and {*value} <= _CEILING


_CEILING = {*_COUNTS, "kind", "lower", "upper"}
_ABOUT: stored.Kinds = {
    "participant": ("a text", stored.is_text),
    "exact": ("true or false", lambda value: isinstance(value, bool)),
    "ceiling": ("null, or n_sounds, n_repeats, n_boot and kind", _is_ceiling),
}


def _check(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    models = list(about["models"].values())
    sizes = {"n_channels": len(about["ch_names"]), "n_models": len(models), "n_baseline": len(about["baseline"])}
    sizes |= {"1 + n_models": 1 + len(models), "n_added": len({name for own in models for name in own})}
    axes = _axes(about, per_channel="alpha" in arrays and arrays["alpha"].ndim == 3)
    stored.check_arrays(arrays, axes, sizes, whole=("segments", "n_samples"))
    stored.raise_first(_faults_of_segments(arrays, len(about["stimuli"])))
    stored.raise_first(texts.lags_fault(arrays["lags"], about["sfreq"]))


def _faults_of_segments(arrays: Mapping[str, np.ndarray], n_trials: int) -> Iterator[str]:
    trial, first, stop = arrays["segments"].T
    if not ((trial >= 0) & (trial < n_trials) & (first >= 0) & (first < stop)).all():
        yield f"array 'segments': expected trial (of {n_trials}), first and stop sample in each row"
    if not ((arrays["n_samples"] >= 0) & (arrays["n_samples"] <= stop - first)).all():
        yield "array 'n_samples': expected no more samples than the segments have"


def _axes(about: Mapping[str, Any], *, per_channel: bool) -> dict[str, tuple[int | str, ...]]:
    """Axes of every array; where the text does not give a size, the first array that has it does."""
    axes: dict[str, tuple[int | str, ...]] = {
        "segments": ("n_segments", 3),
        "n_samples": ("n_segments",),
        "r_reduced": ("n_segments", "n_channels"),
        "r_full": ("n_models", "n_segments", "n_channels"),
        "null": ("n_models", "n_null", "n_channels"),
        "alpha": ("1 + n_models", "n_folds", "n_channels")[: 2 + per_channel],
        "lags": ("n_lags",),
        "explained": ("n_added",),
        "reliability": ("n_added",),
        "reduced kernels": ("n_baseline", "n_lags", "n_channels"),
    }
    for row, own in enumerate(about["models"].values()):
        axes[f"kernels {row}"] = (len(about["baseline"]) + len(own), "n_lags", "n_channels")
    ceiling = about.get("ceiling")
    if ceiling is not None:
        axes |= {"ceiling explainable": ("n_channels",), "ceiling interval": (2, "n_channels")}
        axes |= {f"ceiling {one}": ("n_listeners", "n_channels") for one in ("lower", "upper") if one not in ceiling}
    return axes
