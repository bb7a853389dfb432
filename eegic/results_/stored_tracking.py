"""A result as arrays and a JSON text, and back: nothing pickled, and nothing taken that does not fit together."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic.trf.ceiling import Ceiling

if TYPE_CHECKING:
    import mne

_ARRAYS = ("segments", "n_samples", "r_reduced", "r_full", "null", "alpha", "lags", "explained", "reliability")
_TEXTS = ("stimuli", "sounds", "baseline", "notes")
_OTHERS = ("participant", "models", "exact", "settings", "versions")
_COUNTS = ("n_sounds", "n_repeats", "n_boot")  # of a ceiling


def pack(result: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Arrays of a `Tracking`, given as its fields; whatever is no array stands in ``about``."""
    info, ceiling = result["info"], result["ceiling"]
    arrays = {name: np.asarray(result[name]) for name in _ARRAYS}
    arrays |= {f"kernels {row}": result["kernels"][name] for row, name in enumerate(result["models"])}
    arrays |= {"reduced kernels": result["reduced_kernels"], **_places(info)}
    about = {name: result[name] for name in (*_TEXTS, *_OTHERS)}
    about |= {"ch_names": info["ch_names"], "bads": info["bads"]}
    about |= {name: float(info[name]) for name in ("sfreq", "highpass", "lowpass")}
    about["custom_ref_applied"] = int(info["custom_ref_applied"])
    if ceiling is not None:
        parts = {field.name: getattr(ceiling, field.name) for field in fields(ceiling)}
        arrays |= {f"ceiling {name}": part for name, part in parts.items() if isinstance(part, np.ndarray)}
        about["ceiling"] = {name: part for name, part in parts.items() if not isinstance(part, np.ndarray)}
    return {**arrays, "about": np.array(json.dumps(about, ensure_ascii=False))}


def unpack(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Fields of a `Tracking`; a ValueError says what in the arrays or in the text is wrong."""
    about = _content(arrays)
    models = {name: tuple(own) for name, own in about["models"].items()}
    ceiling = about.get("ceiling")
    if ceiling is not None:
        names = [field.name for field in fields(Ceiling) if field.name not in ceiling]
        stored: dict[str, Any] = {name: arrays.get(f"ceiling {name}") for name in names}
        ceiling = Ceiling(**ceiling, **stored)
    return {
        **{name: arrays[name] for name in _ARRAYS},
        **{name: tuple(about[name]) for name in _TEXTS},
        **{name: about[name] for name in _OTHERS},
        "info": _info(about, arrays),
        "models": models,
        "kernels": {name: arrays[f"kernels {row}"] for row, name in enumerate(models)},
        "reduced_kernels": arrays["reduced kernels"],
        "ceiling": ceiling,
    }


def _places(info: mne.Info) -> dict[str, np.ndarray]:
    """Where channels and digitised points are: coordinates in metres, kinds and frames as FIFF numbers them."""
    channels, points = info["chs"], info["dig"] or []
    return {
        "loc": np.array([channel["loc"] for channel in channels]),  # position, position of the reference, orientation
        "frames": np.array([int(channel["coord_frame"]) for channel in channels]),
        "dig": np.array([point["r"] for point in points]).reshape(len(points), 3),
        "dig kinds": np.array(
            [[int(point[key]) for key in ("kind", "ident", "coord_frame")] for point in points], dtype=np.int64
        ).reshape(len(points), 3),
    }


def _info(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> mne.Info:
    """The inverse of `_places`, with what else a figure shows."""
    import mne

    info = mne.create_info(about["ch_names"], about["sfreq"], "eeg", verbose="error")
    for channel, loc, frame in zip(info["chs"], arrays["loc"], arrays["frames"], strict=True):
        channel.update(loc=loc.copy(), coord_frame=int(frame))
    points = [
        {"r": r.copy(), "kind": int(kind), "ident": int(ident), "coord_frame": int(frame)}
        for r, (kind, ident, frame) in zip(arrays["dig"], arrays["dig kinds"], strict=True)
    ]
    recorded = {name: about[name] for name in ("highpass", "lowpass", "custom_ref_applied")}
    info = mne.Info({**info, **recorded, "dig": points or None})
    info["bads"] = about["bads"]
    return info


def _content(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The text of a file, once nothing in it or in the arrays is found wrong."""
    text = arrays["about"]
    if text.dtype.kind != "U" or text.ndim:
        raise ValueError(f"about: expected one text, got {text.dtype} of shape {text.shape}")
    try:
        about: Any = json.loads(str(text))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"about: expected JSON, but {error}") from error
    for faults in (_faults_of_text(about), _faults_of_arrays(about, arrays)):
        fault = next(faults, None)
        if fault is not None:
            raise ValueError(fault)
    return dict(about)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _names(value: Any) -> bool:
    return _texts(value) and 0 < len(value) == len(set(value))


def _models(value: Any) -> bool:
    return isinstance(value, dict) and len(value) > 0 and all(map(_names, value.values()))


def _ceiling(value: Any) -> bool:
    if not isinstance(value, dict):
        return value is None
    arrays = [value[name] for name in value if name not in (*_COUNTS, "kind")]
    counts = [type(value.get(name)) is int for name in _COUNTS]
    return all(counts) and _text(value.get("kind")) and arrays in ([], [None, None]) and {*value} <= _CEILING


_CEILING = {*_COUNTS, "kind", "lower", "upper"}
_ABOUT: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "participant": ("a text", _text),
    "stimuli": ("texts", _texts),
    "sounds": ("texts", _texts),
    "notes": ("texts", _texts),
    "baseline": ("distinct names", _names),
    "models": ("names of features for every model", _models),
    "ch_names": ("distinct names", _names),
    "bads": ("distinct names", lambda value: value == [] or _names(value)),
    "sfreq": ("a positive number", lambda value: _number(value) and 0 < value < np.inf),
    "highpass": ("a number", _number),
    "lowpass": ("a number", _number),
    "custom_ref_applied": ("a whole number", lambda value: type(value) is int),
    "exact": ("true or false", lambda value: isinstance(value, bool)),
    "settings": ("an object", lambda value: isinstance(value, dict)),
    "versions": ("a text for every package", lambda value: isinstance(value, dict) and _texts([*value.values()])),
    "ceiling": ("null, or n_sounds, n_repeats, n_boot and kind", _ceiling),
}


def _faults_of_text(about: Any) -> Iterator[str]:
    """What is wrong; whoever goes on after a fault goes wrong."""
    if not isinstance(about, dict):
        yield f"about: expected an object of JSON, got {type(about).__name__}"
    for name, (expected, fits) in _ABOUT.items():
        if name not in about and name != "ceiling":
            yield f"about: {name!r} is missing"
        if not fits(about.get(name)):
            yield f"about, {name!r}: expected {expected}, got {json.dumps(about[name], ensure_ascii=False)[:60]}"
    if len(about["sounds"]) != len(about["stimuli"]):
        yield f"about: expected a sound per stimulus ({len(about['stimuli'])}), got {len(about['sounds'])}"
    strange = sorted(set(about["bads"]) - set(about["ch_names"]))
    if strange:
        yield f"about, 'bads': {strange[0]!r} is no channel"


def _faults_of_arrays(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Iterator[str]:
    """The same of the arrays, each against the text and the arrays before it."""
    models = list(about["models"].values())
    sizes = {"n_channels": len(about["ch_names"]), "n_models": len(models), "n_baseline": len(about["baseline"])}
    sizes |= {"1 + n_models": 1 + len(models), "n_added": len({name for own in models for name in own})}
    axes = _axes(about, per_channel="alpha" in arrays and arrays["alpha"].ndim == 3)
    for name in sorted(axes.keys() ^ (arrays.keys() - {"about"})):
        yield f"array {name!r} " + ("is missing" if name in axes else "belongs to nothing")
    for name, wanted in axes.items():
        array, whole = arrays[name], name in ("segments", "n_samples", "frames", "dig kinds")
        if array.dtype.kind != ("i" if whole else "f"):
            yield f"array {name!r}: expected {'whole' if whole else 'real'} numbers, got {array.dtype}"
        for axis, size in zip(wanted, array.shape, strict=False):
            sizes.setdefault(str(axis), size)
        right = tuple(axis if isinstance(axis, int) else sizes.get(axis) for axis in wanted)
        if array.shape != right or (array.size == 0 and not name.startswith("dig")):
            words = [str(axis) if isinstance(axis, int) else f"{axis} = {sizes.get(axis, '?')}" for axis in wanted]
            yield f"array {name!r}: expected shape ({', '.join(words)}), got {array.shape}"
    trial, first, stop = arrays["segments"].T
    n_trials = len(about["stimuli"])
    if not ((trial >= 0) & (trial < n_trials) & (first >= 0) & (first < stop)).all():
        yield f"array 'segments': expected trial (of {n_trials}), first and stop sample in each row"
    if not ((arrays["n_samples"] >= 0) & (arrays["n_samples"] <= stop - first)).all():
        yield "array 'n_samples': expected no more samples than the segments have"
    steps = np.diff(arrays["lags"]) * about["sfreq"]
    if not (np.isfinite(arrays["lags"]).all() and np.allclose(steps, 1, atol=1e-3)):
        yield f"array 'lags': expected steps of one sample at {about['sfreq']:g} Hz"
    if not np.isin(arrays["dig kinds"][:, 0], (1, 2, 3, 4, 5)).all():
        yield "array 'dig kinds': expected kinds 1 to 5, as FIFF numbers them"


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
        "loc": ("n_channels", 12),
        "frames": ("n_channels",),
        "dig": ("n_points", 3),
        "dig kinds": ("n_points", 3),
    }
    for row, own in enumerate(about["models"].values()):
        axes[f"kernels {row}"] = (len(about["baseline"]) + len(own), "n_lags", "n_channels")
    ceiling = about.get("ceiling")
    if ceiling is not None:
        axes |= {"ceiling explainable": ("n_channels",), "ceiling interval": (2, "n_channels")}
        axes |= {f"ceiling {one}": ("n_listeners", "n_channels") for one in ("lower", "upper") if one not in ceiling}
    return axes
